"""Messages on a GPU: Triton kernels behind the interface of :mod:`wsgraph_encoders.messages` (docs/cuda.md).

Three layers: ``kernels`` are Triton's, one file each; ``single``, ``multi`` and ``grouped`` make operators
of torch of them; ``message`` is the message function. Importing this package does not import Triton.
"""

from __future__ import annotations

__all__: list[str] = []
