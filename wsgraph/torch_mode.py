"""How the compiler uses torch, whatever the program around it has set."""

from __future__ import annotations

from contextlib import contextmanager
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
    caller's ``with torch.device("meta")``.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_num_threads(threads)
