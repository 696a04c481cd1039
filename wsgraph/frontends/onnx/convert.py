"""Walking an ONNX graph: names are resolved, nodes translated, functions and subgraphs inlined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto

from wsgraph.errors import CheckpointError, WsgraphError
from wsgraph.frontends.onnx.attributes import attributes_of, data_of, with_attributes
from wsgraph.frontends.onnx.errors import UnknownOperatorError
from wsgraph.frontends.onnx.functions import schema_function
from wsgraph.frontends.onnx.naming import module_of, scope_of
from wsgraph.frontends.onnx.node import Node
from wsgraph.frontends.onnx.operators import load_all
from wsgraph.frontends.onnx.registry import Translation, translation_for
from wsgraph.frontends.onnx.scope import Scope
from wsgraph.frontends.onnx.tensors import tensor_from_proto
from wsgraph.frontends.quiet import first_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wsgraph.frontends.onnx.emitter import Emitter, Operand

__all__ = ["Converter"]

_DEPTH = 32
"""How deep functions may call each other; a recursive one would never end."""


class Converter:
    """Translates the nodes of one model.

    Args:
        emitter: where operators are appended.
        opsets: the version of each operator domain that the model imports.
        functions: the model's own functions.

    Attributes:
        modules: the class of each module that the newer exporter noted, by its place in the module tree.
    """

    def __init__(
        self, emitter: Emitter, opsets: Mapping[str, int], functions: Iterable[FunctionProto] = ()
    ) -> None:
        load_all()
        self.emitter = emitter
        self.opsets = opsets
        self.modules: dict[str, str] = {}
        self._functions = {(f.domain, f.name): f for f in functions}
        self._depth = 0

    def graph(self, graph: GraphProto, scope: Scope, inputs: Sequence[Operand]) -> list[Operand]:
        """Translate a graph; returns what its outputs stand for.

        Raises:
            CheckpointError: a node reads a name that nothing makes.
            FrontendError: an operator is unknown, or the structure depends on the data.
        """
        for proto in graph.initializer:
            scope[proto.name] = self._constant(proto)
        for info, operand in zip(graph.input, inputs, strict=True):
            scope[info.name] = operand
        self.nodes(graph.node, scope)
        return [scope[o.name] for o in graph.output]

    def nodes(
        self, nodes: Iterable[NodeProto], scope: Scope, given: Mapping[str, AttributeProto] | None = None
    ) -> None:
        """Translate nodes in order.

        Args:
            nodes: the nodes; ONNX has them sorted.
            scope: what their names stand for.
            given: inside a function, the attributes that the call passes.
        """
        for proto in nodes:
            self.emitter.scope = scope_of(proto)
            if (module := module_of(proto)) is not None:
                self.modules[self.emitter.scope] = module
            results = self._node(proto, scope, given or {})
            for name, operand in zip(proto.output, results, strict=False):
                if name:
                    scope[name] = operand

    def _node(self, proto: NodeProto, scope: Scope, given: Mapping[str, AttributeProto]) -> Sequence[Operand]:
        inputs = [scope[name] if name else None for name in proto.input]
        attributes = attributes_of(proto, given)
        opset = self._opset(proto)
        function = self._functions.get((proto.domain, proto.op_type))
        if function is not None:
            return self._inline(function, proto, inputs, attributes)
        translation = translation_for(proto.op_type, proto.domain, opset)
        results = (
            NotImplemented
            if translation is None
            else self._translate(translation, proto, inputs, attributes, scope)
        )
        if results is NotImplemented:
            body = schema_function(with_attributes(proto, attributes), opset, inputs, self.opsets)
            if body is None:
                raise _unknown(proto, opset)
            return self._inline(body, proto, inputs, attributes)
        return results if isinstance(results, tuple) else (results,)

    def _translate(
        self,
        translation: Translation,
        proto: NodeProto,
        inputs: list[Operand],
        attributes: Mapping[str, AttributeProto],
        scope: Scope,
    ) -> Any:
        """What a translator makes of a node; torch's own errors are worded."""
        data = {name: data_of(a) for name, a in attributes.items()}
        opset = self._opset(proto)
        node = Node(proto.op_type, proto.name, opset, inputs, list(proto.output), data, self.emitter, scope)
        try:
            return translation.function(node)
        except WsgraphError:
            raise
        except Exception as error:  # torch refuses shapes and types that do not fit in every way there is
            raise CheckpointError(
                f"{node} cannot be applied to {_described(inputs)} ({first_line(error, 160)})",
                remedy="check the model with onnx.checker and onnxruntime",
            ) from error

    def _opset(self, proto: NodeProto) -> int:
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        if domain not in self.opsets and (proto.domain, proto.op_type) not in self._functions:
            raise CheckpointError(
                f"{proto.op_type} {proto.name!r} is of the domain {proto.domain!r}, which is not imported",
                remedy="export the model again",
            )
        return self.opsets.get(domain, 1)

    def _inline(
        self,
        function: FunctionProto,
        call: NodeProto,
        inputs: Sequence[Operand],
        attributes: Mapping[str, AttributeProto],
    ) -> list[Operand]:
        """Translate the body of a function in place of the call."""
        if self._depth >= _DEPTH:
            raise CheckpointError(
                f"the functions of the model call each other more than {_DEPTH} deep (at {call.op_type})"
            )
        scope = Scope(self)
        for name, operand in zip(function.input, [*inputs, *[None] * len(function.input)], strict=False):
            scope[name] = operand
        given = {a.name: a for a in function.attribute_proto} | dict(attributes)
        before = self.opsets
        self.opsets = {**before, **{o.domain: o.version for o in function.opset_import}}
        self._depth += 1
        try:
            self.nodes(function.node, scope, given)
        finally:
            self.opsets = before
            self._depth -= 1
        return [scope.get(name) for name in function.output]

    def _constant(self, proto: TensorProto) -> Operand:
        """An initializer of a subgraph."""
        if proto.data_location == TensorProto.EXTERNAL:
            raise CheckpointError(
                f"{proto.name!r}, a tensor of a subgraph, lies outside the file",
                remedy="store it in the model",
            )
        tensor, name = tensor_from_proto(proto), proto.name
        if tensor.dtype.is_floating_point and tensor.numel() > 1:
            return self.emitter.initializers.add(self.emitter.fresh_name(name), tensor)
        return tensor


def _unknown(proto: NodeProto, opset: int) -> UnknownOperatorError:
    domain = f" of the domain {proto.domain}" if proto.domain else ""
    return UnknownOperatorError(
        f"the ONNX operator {proto.op_type}{domain} (opset {opset}, node {proto.name!r}) is not supported",
        remedy="docs/onnx.md lists the operators that are; export the model without this one",
    )


def _described(inputs: Sequence[Operand]) -> str:
    return ", ".join(
        "nothing" if i is None else str(list(i.shape)) if hasattr(i, "shape") else "a sequence"
        for i in inputs
    )
