"""Models with stored inputs and outputs, as the onnx package ships them, run through the IR."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from onnx import ModelProto, SequenceProto, TensorProto
from torch import Tensor

from wsgraph.errors import WsgraphError
from wsgraph.frontends.onnx.errors import UnknownOperatorError, UnsupportedTypeError
from wsgraph.frontends.onnx.opening import build_graph
from wsgraph.frontends.onnx.reading import Opened, read_proto
from wsgraph.frontends.onnx.registry import OPSETS
from wsgraph.frontends.onnx.tensors import tensor_from_proto
from wsgraph.ir.execute import execute
from wsgraph.rewrites.exported import undo_export

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

__all__ = ["Case", "Verdict", "folder_cases", "judge", "node_cases", "to_tensor"]

_DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
_RANDOM = ("bernoulli", "training_dropout")
"""Cases whose outputs are drawn at random: only shapes and types can be compared."""


@dataclass(frozen=True, slots=True)
class Case:
    """A model, what goes in, and what has to come out.

    Attributes:
        name: the case's name.
        model: the model.
        inputs: one value an input, as numpy arrays, protobuf tensors, or lists of those.
        outputs: one value an output, likewise.
        rtol: relative tolerance.
        atol: absolute tolerance.
    """

    name: str
    model: ModelProto
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    rtol: float = 1e-3
    atol: float = 1e-5


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a case went.

    Attributes:
        state: ``passed``, ``failed`` or ``out of scope``.
        reason: what was wrong, or why it is out of scope.
    """

    state: str
    reason: str = ""


def node_cases() -> Iterator[Case]:
    """The tests of single operators, which onnx computes itself."""
    from onnx.backend.test.case.node import collect_testcases

    # onnx's types say that an operator is given; None stands for all of them.
    for case in collect_testcases(None):  # type: ignore[arg-type, unused-ignore]
        assert case.model is not None
        for inputs, outputs in case.data_sets or ():
            yield Case(case.name, case.model, tuple(inputs), tuple(outputs), case.rtol, case.atol)


def folder_cases(kind: str) -> Iterator[Case]:
    """The models that lie in a folder of onnx's test data: ``light``, ``simple``, ``pytorch-converted``..."""
    if kind == "light":
        for path in sorted((_DATA / kind).glob("*.onnx")):
            yield _light(path)
        return
    for folder in sorted(f for f in (_DATA / kind).iterdir() if (f / "model.onnx").is_file()):
        model = onnx.load(folder / "model.onnx")
        for data in sorted(folder.glob("test_data_set_*")):
            inputs = [_load(data / f"input_{k}.pb", i.type) for k, i in enumerate(_fed(model, data))]
            outputs = [_load(data / f"output_{k}.pb", o.type) for k, o in enumerate(model.graph.output)]
            yield Case(f"{folder.name}/{data.name}", model, tuple(inputs), tuple(outputs))


def _fed(model: ModelProto, data: Path) -> list[onnx.ValueInfoProto]:
    stored = {t.name for t in model.graph.initializer}
    fed = [i for i in model.graph.input if i.name not in stored]
    return fed[: len(list(data.glob("input_*.pb")))]


def _light(path: Path) -> Case:
    """A light model's input is the one that onnx's own runner makes: a ramp from 0 to 1."""
    model = onnx.load(path)
    stored = {t.name for t in model.graph.initializer}
    inputs = []
    for info in (i for i in model.graph.input if i.name not in stored):
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        count = int(np.prod(shape))
        inputs.append((np.arange(count, dtype=np.float32) / count).reshape(shape))
    output = _load(path.with_name(f"{path.stem}_output_0.pb"), model.graph.output[0].type)
    return Case(path.stem, model, tuple(inputs), (output,))


def _load(path: Path, kind: onnx.TypeProto) -> TensorProto | SequenceProto:
    proto = SequenceProto() if kind.HasField("sequence_type") else TensorProto()
    proto.ParseFromString(path.read_bytes())
    return proto


def to_tensor(value: Any) -> Any:
    """A stored value as a tensor, or a list of tensors.

    Raises:
        UnsupportedTypeError: it holds text, or something that is no tensor.
    """
    if isinstance(value, SequenceProto):
        value = list(value.tensor_values)
    if isinstance(value, list):
        return [to_tensor(v) for v in value]
    if not isinstance(value, TensorProto):
        array = np.asarray(value)
        if array.dtype.kind in "OUS":
            raise UnsupportedTypeError("text")
        value = onnx.numpy_helper.from_array(array)
    return tensor_from_proto(value)


def judge(case: Case) -> Verdict:
    """Translate the model, run the IR, and compare every output."""
    if any(not o.domain and o.version < OPSETS[0] for o in case.model.opset_import):
        return Verdict("out of scope", f"an opset before {OPSETS[0]}")
    try:
        inputs, expected = [to_tensor(v) for v in case.inputs], [to_tensor(v) for v in case.outputs]
        got = _run(read_proto(case.model), inputs)
    except (UnknownOperatorError, UnsupportedTypeError) as error:
        return Verdict("out of scope", error.message)
    except WsgraphError as error:
        return Verdict("failed", error.message)
    flat = [t for e in expected for t in (e if isinstance(e, list) else [e])]
    if len(got) != len(flat):
        return Verdict("failed", f"{len(got)} outputs, expected {len(flat)}")
    for have, want in zip(got, flat, strict=True):
        wrong = _difference(have, want, case)
        if wrong:
            return Verdict("failed", wrong)
    return Verdict("passed")


def _run(opened: Opened, inputs: Sequence[Any]) -> list[Tensor]:
    """Run with inputs as free as possible: those that decide shapes have to be constants."""
    failure: WsgraphError | None = None
    for known in _constants(inputs):
        try:
            graph, tensors = build_graph(opened, inputs, known)
        except UnknownOperatorError:
            raise
        except WsgraphError as error:
            failure = failure or error
            continue
        free = [t for k, t in enumerate(inputs) if k not in known and isinstance(t, Tensor)]
        return execute(undo_export(graph), free, tensors)[0]
    assert failure is not None
    raise failure


def _constants(inputs: Sequence[Any]) -> list[Container[int]]:
    whole = [k for k, t in enumerate(inputs) if isinstance(t, Tensor) and not t.dtype.is_floating_point]
    lists = [k for k in whole if inputs[k].dim() <= 1]
    short = [k for k, t in enumerate(inputs) if isinstance(t, Tensor) and t.dim() <= 1]
    return [(), lists, whole, sorted({*short, *whole})]


def _difference(have: Tensor, want: Tensor, case: Case) -> str:
    if (have.dtype, have.shape) != (want.dtype, want.shape):
        return f"{have.dtype} {list(have.shape)}, expected {want.dtype} {list(want.shape)}"
    if any(word in case.name for word in _RANDOM):
        return ""
    half = want.dtype in (torch.float16, torch.bfloat16)
    least = 4 * torch.finfo(want.dtype).eps if half else 0.0  # a few units in the last place
    wide = torch.complex128 if want.is_complex() else torch.float64
    left, right = have.to(wide), want.to(wide)
    rtol, atol = max(case.rtol, least), max(case.atol, least, 1e-6)
    if torch.allclose(left, right, rtol=rtol, atol=atol, equal_nan=True):
        return ""
    return f"differs by {float((left - right).abs().nan_to_num().max()):.3g}"
