"""Settings for all tests: torchvision's operators, which its CUDA wheels lack beside a CPU torch.

Without a GPU, Triton's kernels are run by its interpreter; it has to know before it is imported.
"""

import importlib.util
import os

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# The definitions live as long as this object.
_VISION_OPERATORS = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
if importlib.util.find_spec("torchvision") is not None:
    for _name in ("nms", "qnms"):
        _VISION_OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
