"""Proof that nothing is lost: the state dict comes back bit for bit, and the ledger adds up."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgraph.compiler import compile as compile_model
from wsgraph.events.bits import same_bits
from wsgraph.events.file import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from wsgraph.events.stream import EventStream
    from wsgraph.options import CompileOptions

__all__ = ["assert_ledger"]


def assert_ledger(
    model: nn.Module, inputs: Any = None, *, options: CompileOptions | None = None
) -> EventStream:
    """Compile a model and check that its stream keeps every parameter, in memory and through a file.

    Args:
        model: the model.
        inputs: example inputs or shapes, as :func:`wsgraph.compile` takes them.
        options: the compiler's options.

    Returns:
        The stream, for further checks.

    Raises:
        AssertionError: an element is missing, counted twice, or came back changed.
        WsgraphError: the model cannot be compiled.
    """
    stream = compile_model(model, inputs, options=options)
    expected = model.state_dict()
    _same(stream.state_dict(), expected, "the compiled stream")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.wsg"
        stream.save(path)
        loaded = load(path)
        _same(loaded.state_dict(), expected, "the stream read back from its file")
        assert loaded.text() == stream.text(), "the file gives other events"
        assert loaded.fingerprint == stream.fingerprint, "the file gives another fingerprint"
    _adds_up(stream, model)
    return stream


def _same(got: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    assert list(got) == list(expected), f"{where} has the tensors {list(got)}, expected {list(expected)}"
    for name, tensor in expected.items():
        same = got[name].dtype == tensor.dtype and same_bits(got[name], tensor)
        assert same, f"{where} gives other values for {name!r}"


def _adds_up(stream: EventStream, model: nn.Module) -> None:
    ledger = stream.ledger()
    parameters = dict(model.named_parameters(remove_duplicate=False))
    rows = {row.name: row for row in ledger.rows}
    for name, parameter in parameters.items():
        counted = sum(rows[name].counts.values())
        assert counted == parameter.numel(), (
            f"{name!r}: {counted} elements in the ledger, not {parameter.numel()}"
        )
    total = sum(p.numel() for p in parameters.values())
    assert ledger.numel() == total, f"the ledger has {ledger.numel()} elements, the model {total}"
    distinct = sum(p.numel() for p in model.parameters())
    tied = ledger.total("tied")
    assert total - tied == distinct, f"{tied} elements are tied, but the model has {distinct} of {total}"
