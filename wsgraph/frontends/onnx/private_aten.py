"""ATen operators whose names begin with an underscore; they are as public as the others."""

from __future__ import annotations

import torch

__all__ = ["CAST", "NEAREST_EXACT_2D"]

CAST = torch.ops.aten._to_copy.default  # noqa: SLF001  see above
NEAREST_EXACT_2D = torch.ops.aten._upsample_nearest_exact2d.vec  # noqa: SLF001  see above
