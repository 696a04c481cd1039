"""How the compiler uses torch, whatever the program around it has set."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["compiling"]


@contextmanager
def compiling() -> Iterator[None]:
    """Run torch on one thread, and make tensors on the CPU, for a while.

    Label tensors are small: waking a second thread for each of thousands of operators costs more than it
    gives, ten times as much on a busy machine. And they hold numbers that are read, even inside the
    caller's ``with torch.device("meta")``. A device context looks at every call of torch, which doubles
    what the small ones cost, so it is entered only where tensors would be made elsewhere.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    try:
        with nullcontext() if torch.get_default_device() == cpu else cpu:
            yield
    finally:
        torch.set_num_threads(threads)
