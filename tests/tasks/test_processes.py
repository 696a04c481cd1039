"""Two processes that train together, by Lightning's DDP."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl

from wsgraph_encoders.tasks import load_run


def test_ddp_from_the_command_line(two_architectures, tmp_path):
    root = Path(__file__).parents[2]
    paths = os.pathsep.join(str(root / part) for part in ("", "plugins", "encoders"))
    environment = {k: v for k, v in os.environ.items() if k not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    options = "--method dng --method epoch --epochs 2 --hidden 8 --accelerator cpu --devices 2 --strategy ddp"
    done = subprocess.run(
        [sys.executable, "-m", "wsgraph", "train", "accuracy", "--json", *options.split(),
         "--zoo", two_architectures, "-o", tmp_path / "r"],
        env=environment | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)  # one document, from the first process
    assert report["finished"] == [{"method": "dng", "seed": 0}, {"method": "epoch", "seed": 0}]
    history = pl.read_parquet(tmp_path / "r" / "dng-0" / "history.parquet")
    assert history["epoch"].unique().to_list() == [0, 1]
    assert load_run(tmp_path / "r").pairs == [("dng", 0), ("epoch", 0)]
