"""Triton compiles every kernel for a Hopper GPU; that needs none. Not all that is interpreted compiles."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.triton import cases  # skips where Triton is missing

ROOT = Path(__file__).parents[2]


def test_all_kernels_compile_to_tensor_core_instructions(tmp_path: Path) -> None:
    assert cases.DEVICE.type in {"cpu", "cuda"}
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "plugins", ROOT / "encoders")))
    command = [sys.executable, "-W", "ignore", ROOT / "benchmarks" / "gpu_kernels.py", "--small", "--json"]
    environment = os.environ | {"PYTHONPATH": paths, "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["kernel"] for row in rows} == {
        "single_kernel",
        "single_coefficients_kernel",
        "single_weights_kernel",
        "multi_kernel",
        "multi_backward_kernel",
        "outside_kernel",
    }
    assert all(row["mma"] for row in rows if row["kernel"] != "outside_kernel")
