"""Modules whose tensors have no data: traced as if they lay on the CPU (DESIGN section 3).

A forward makes tensors of its own (positions, masks), on the CPU unless told otherwise, and those do not mix
with tensors on ``meta``. Fake tensors say that they lie on the CPU and hold no more data than ``meta`` ones.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["without_meta"]


@contextlib.contextmanager
def without_meta(module: nn.Module, inputs: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
    """Let a module's ``meta`` tensors pass for the CPU's while the context lasts; yields fitting inputs.

    Args:
        module: the module; without tensors on ``meta`` nothing changes.
        inputs: example inputs.
    """
    held: list[dict[str, Any]] = []
    for m in module.modules():
        held += (m._parameters, m._buffers)  # noqa: SLF001  where a module keeps its tensors, ties included
    given = [t for tensors in held for t in tensors.values() if t is not None]
    if not any(t.is_meta for t in (*given, *inputs)):
        yield inputs
        return
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    fakes = {id(t): _fake(mode, t) for t in given if t.is_meta}
    before = [dict(tensors) for tensors in held]
    try:
        for tensors in held:
            tensors.update({k: fakes[id(t)] for k, t in tensors.items() if id(t) in fakes})
        yield tuple(_fake(mode, t) if t.is_meta else mode.from_tensor(t) for t in inputs)
    finally:
        for tensors, old in zip(held, before, strict=True):
            tensors.update(old)


def _fake(mode: FakeTensorMode, tensor: Tensor) -> Tensor:
    with mode:
        fake = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(fake, requires_grad=tensor.requires_grad)
    return fake
