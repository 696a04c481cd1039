"""What a zoo costs: importing small ViTs, reading them back, duplicates, encoding.

    python benchmarks/zoo.py [--models 1500] [--hidden 64] [--threads 2]

Writes a zoo of SimpleViT state dicts to a temporary folder, imports it and prints rates, in models a second
of wall time and of processor time: on a busy machine only the latter means anything. Reading the files alone
with ``torch.load(weights_only=True)`` and copying their bytes are measured in the same run, for ratios.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from wsgraph.zoo import import_zoo, open_zoo
from wsgraph.zoo.duplicates import equal_up_to_order
from wsgraph.zoo.models.vit import SimpleViT
from wsgraph_encoders.encoding import EncoderChoice, encode_zoo

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = {
    "depth": 2,
    "dim": 32,
    "dim_head": 16,
    "heads": 2,
    "mlp_dim": 64,
    "num_classes": 10,
    "patch_size": 4,
    "image_size": 32,
}


def write_zoo(root: Path, models: int) -> None:
    """A copy of the DNG ViTs' layout with random weights."""
    (root / "vit_models").mkdir(parents=True)
    (root / "stat").mkdir()
    for number in range(models):
        torch.save(SimpleViT(**SIZES).state_dict(), root / "vit_models" / f"model_{number}_10.pth")
    contents = {
        "vit_hyperparameters": SIZES,
        "results": {str(number): 50.0 for number in range(models)},
        "splits": {"train": list(range(models)), "test": []},
    }
    for name, content in contents.items():
        (root / "stat" / f"{name}.json").write_text(json.dumps(content))


def measure(what: str, models: int, work: Callable[[], object]) -> float:
    """Print a rate; returns models a second of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what:<38}{models / wall:>10,.0f} /s wall{models / cpu:>12,.0f} /s processor")
    return models / cpu


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=1500)
    parser.add_argument("--hidden", type=int, default=64, help="width of the untrained DNG-Encoder")
    parser.add_argument("--threads", type=int, default=2, help="threads that encode; 1 otherwise")
    options = parser.parse_args()
    models, hidden, threads = options.models, options.hidden, options.threads
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        source, zoo = Path(folder) / "source", Path(folder) / "zoo"
        write_zoo(source, models)
        files = sorted((source / "vit_models").glob("*.pth"))
        parameters = sum(p.numel() for p in SimpleViT(**SIZES).parameters())
        print(f"{models:,} SimpleViTs of {parameters:,} parameters")
        measure("read the bytes", models, lambda: [path.read_bytes() for path in files])
        plain = measure(
            "torch.load(weights_only=True)", models, lambda: [torch.load(p, weights_only=True) for p in files]
        )
        imported = measure(
            "zoo import, tracing included", models, lambda: import_zoo("dng-vits", source, zoo)
        )
        print(f"importing is {imported / plain:.1f} times as fast as torch.load alone")
        opened = open_zoo(zoo)
        measure("stacked batches of 64", models, lambda: list(opened.batches(batch=64)))
        measure("event streams", models, lambda: sum(1 for _ in opened.streams()))
        measure("keys up to the order of neurons", models, lambda: equal_up_to_order(opened))
        torch.set_num_threads(threads)
        table = Path(folder) / "embeddings.parquet"
        choice = EncoderChoice(hidden=hidden)
        measure(f"encode, hidden {hidden}, {threads} threads", models, lambda: encode_zoo(zoo, choice, table))


if __name__ == "__main__":
    main()
