"""From a ``torch.fx`` graph of ATen operators, as torch.export writes it, to the IR."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx

from wsgraph.errors import FrontendError
from wsgraph.frontends.strided import picked_elements
from wsgraph.frontends.symbolic import SYMBOLIC, Unknown, concrete, data_dependent, static_shape
from wsgraph.ir.graph import Graph, Op, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["convert_body"]

_WRAPPERS = {
    # operator -> how many leading arguments it has before the submodule
    "wrap_with_set_grad_enabled": 1,
    "wrap_with_autocast": 4,
}
_CHECKS = frozenset({"aten._assert_tensor_metadata", "aten._assert_async", "aten._assert_scalar"})


class _Converter:
    """State of one conversion: which value each fx node has become."""

    def __init__(self, graph: Graph, module: fx.GraphModule) -> None:
        self.graph = graph
        self.module = module
        self.env: dict[fx.Node, Any] = {}
        self.names: set[str] = {v.name for v in graph.inputs}

    def value(self, name: str, tensor: Tensor, node: fx.Node) -> Value:
        unique, k = name, 0
        while unique in self.names:
            k += 1
            unique = f"{name}_{k}"
        self.names.add(unique)
        shape = static_shape(tensor, describe(node.target)[0], scope_of(node))
        return Value(unique, shape, tensor.dtype)

    def argument(self, argument: Any) -> Any:
        return fx.node.map_arg(argument, self.lookup)

    def lookup(self, node: fx.Node) -> Any:
        found = self.env[node]
        if isinstance(found, Unknown):
            raise data_dependent(f"the number that {found.key} reads out of a tensor", found.scope)
        return found

    def node(self, node: fx.Node) -> None:
        if node.op == "get_attr":
            self.env[node] = _attribute(self.module, str(node.target))
        elif node.op == "call_function":
            self.call(node)
        elif node.op not in ("placeholder", "output"):
            raise FrontendError(f"the traced graph still holds a {node.op} node: {node.format_node()}")

    def call(self, node: fx.Node) -> None:
        target: Any = node.target
        if target is operator.getitem:
            self.env[node] = self.env[node.args[0]][node.args[1]]  # type: ignore[index]  # an fx.Node
            return
        example = node.meta.get("val")
        if isinstance(example, SYMBOLIC):
            number = concrete(example)
            self.env[node] = Unknown(describe(target)[0], scope_of(node)) if number is None else number
            return
        name = getattr(target, "__name__", "")
        if isinstance(target, torch._ops.HigherOrderOperator):  # noqa: SLF001  torch has no public name for it
            self.inline(node, name)
            return
        key, mutates, aliases = describe(target)
        if key in _CHECKS:
            return
        self.emit(node, key, mutates=mutates, aliases=aliases)

    def inline(self, node: fx.Node, name: str) -> None:
        if name not in _WRAPPERS:
            raise data_dependent(f"the control-flow operator {name!r}", scope_of(node))
        position = _WRAPPERS[name]
        body = self.env[node.args[position]]  # type: ignore[index]  # an fx.Node
        inner = _Converter(self.graph, body)
        inner.names = self.names
        outer = self.argument(list(node.args[position + 1 :]))
        inner.env.update(zip(body.graph.find_nodes(op="placeholder"), outer, strict=True))
        self.env[node] = inner.run()

    def emit(self, node: fx.Node, key: str, *, mutates: bool, aliases: bool) -> None:
        example = node.meta.get("val")
        if example is None or isinstance(example, int | float | bool):
            if example is not None:
                self.env[node] = example
            return
        results = example if isinstance(example, tuple | list) else [example]
        outputs = [
            self.value(node.name if len(results) == 1 else f"{node.name}.{i}", r, node)
            for i, r in enumerate(results)
            if isinstance(r, Tensor)
        ]
        if len(outputs) != len(results):
            raise FrontendError(f"{key} returns something other than tensors: {node.format_node()}")
        args, kwargs = self.argument(tuple(node.args)), self.argument(dict(node.kwargs))
        op = Op(key, node.target, args, kwargs, outputs, scope_of(node), mutates, aliases)  # type: ignore[arg-type]  # fx types targets loosely
        self.graph.ops.extend(self.without_addresses(op, node))
        single = not isinstance(example, tuple | list)
        self.env[node] = outputs[0] if single else outputs
        if mutates and args and isinstance(args[0], Value):
            self.rename(args[0], outputs[0])

    def without_addresses(self, op: Op, node: fx.Node) -> list[Op]:
        """The operator, or what picks the same elements where it reads them by memory address."""
        if op.key != "aten.as_strided":
            return [op]
        if any(user.args[:1] == (node,) and describe(user.target)[1] for user in node.users):
            raise FrontendError(f"{op!r} is written into", remedy="write into slices or selections")
        memory = node.args[0].meta["val"]  # type: ignore[union-attr]  # an fx.Node
        picked = picked_elements(op.args[0], memory, op.arguments, op.outputs[0], op.scope)
        places = picked[-1].inputs()[1]
        self.graph.tensors[places.name] = places
        return picked

    def rename(self, old: Value, new: Value) -> None:
        """After an in-place call its argument's name means the result."""
        for node, value in self.env.items():
            if value is old:
                self.env[node] = new

    def run(self) -> Any:
        for node in self.module.graph.nodes:
            self.node(node)
        output = self.module.graph.output_node()
        return self.argument(output.args[0])


def describe(target: Any) -> tuple[str, bool, bool]:
    """Canonical key of an operator, whether it works in place, whether its result is a view."""
    if not isinstance(target, torch._ops.OpOverload):  # noqa: SLF001  torch has no public name for it
        module = getattr(target, "__module__", "")
        return f"{module}.{getattr(target, '__name__', target)}", False, False
    schema = target._schema  # noqa: SLF001  the documented way to an operator's schema
    namespace, _, name = schema.name.partition("::")
    first = schema.arguments[0].alias_info if schema.arguments else None
    mutates = bool(first is not None and first.is_write)
    if mutates and name.endswith("_") and not name.endswith("__"):
        name = name[:-1]
    return f"{namespace}.{name}", mutates, bool(first is not None and not first.is_write)


def scope_of(node: fx.Node) -> str:
    """``layer1.0.conv1``: where in the module tree the operator was called."""
    stack: Mapping[str, Any] = node.meta.get("nn_module_stack") or {}
    path = ""
    for entry in stack.values():
        path = entry[0] if isinstance(entry, tuple) else str(entry)
    return path.removeprefix("L['self'].").removeprefix("L['self']")


def _attribute(module: torch.nn.Module, path: str) -> Any:
    target: Any = module
    for part in path.split("."):
        target = getattr(target, part)
    return target


def convert_body(graph: Graph, module: fx.GraphModule, placeholders: Mapping[str, Value]) -> None:
    """Append the operators of an fx graph to ``graph`` and set its outputs.

    Args:
        graph: the IR graph; its inputs and tensors are in place.
        module: the fx graph, ATen operators only.
        placeholders: what each placeholder of the fx graph stands for, by node name.

    Raises:
        FrontendError: control flow, or nodes that are no ATen calls.
    """
    converter = _Converter(graph, module)
    for node in module.graph.find_nodes(op="placeholder"):
        converter.env[node] = placeholders.get(node.name)
    result = converter.run()
    leaves, _ = torch.utils._pytree.tree_flatten(result)  # noqa: SLF001  torch.export's own output convention
    graph.outputs = list(dict.fromkeys(v for v in leaves if isinstance(v, Value)))
