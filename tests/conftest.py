"""For all tests: running ``wsgraph`` inside the test's own process, and settings of libraries.

torchvision's CUDA wheels lack their operators beside a CPU torch. Without a GPU, Triton's kernels are run by
its interpreter; it has to know before it is imported.
"""

import importlib.util
import os
import sys

import pytest
import torch

from wsgraph.cli import main as cli
from wsgraph.lowering.plugins import DISABLE_VARIABLE

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# The definitions live as long as this object.
_VISION_OPERATORS = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
if importlib.util.find_spec("torchvision") is not None:
    for _name in ("nms", "qnms"):
        _VISION_OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run ``wsgraph`` in a folder of its own: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)
    monkeypatch.setenv(DISABLE_VARIABLE, "all")

    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["wsgraph", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    return run_command
