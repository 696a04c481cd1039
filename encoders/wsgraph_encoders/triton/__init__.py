"""Messages on a GPU: Triton kernels behind the interface of :mod:`wsgraph_encoders.messages` (docs/cuda.md).

Three layers: ``kernels`` are Triton's; modules of the same names (``single``, its gradients
``single_coefficients`` and ``single_weights``, ``multi``, ``outside``) make operators of torch of them;
``message`` is the message function, ``grouped`` that of many small blocks. Importing this package does not
import Triton.
"""

from __future__ import annotations

__all__: list[str] = []
