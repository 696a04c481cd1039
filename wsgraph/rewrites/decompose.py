"""Composite operators that nothing lowers become the operators that torch says they consist of.

torch.export leaves ``torch.multiply``, ``torch.tensordot`` or ``cosine_similarity`` whole: other names for,
or compositions of, operators that plugins do lower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch._decomp import decomposition_table
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from wsgraph.errors import WsgraphError
from wsgraph.frontends.convert import convert_body
from wsgraph.frontends.quiet import quiet_torch
from wsgraph.ir.graph import Graph, Op, Value, replace_values
from wsgraph.ir.layers import is_layer
from wsgraph.rewrites.own_decompositions import OWN_DECOMPOSITIONS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["decompose"]

_SECOND_NAMES = frozenset({"aten.true_divide", "aten.clip"})
"""Pointwise operators that are others by another name, under which plugins and symmetries know them."""

_CONVOLUTIONS = frozenset({"aten.conv1d", "aten.conv2d", "aten.conv3d"})
_TRANSPOSED = frozenset({"aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d"})
_WITH_BIAS = frozenset({"aten.linear", *_CONVOLUTIONS, *_TRANSPOSED})


def decompose(graph: Graph, lowered: Callable[[Op], bool]) -> Graph:
    """Take operators on activations apart until each is lowered.

    An operator that does not come down to lowered ones alone stays as it is, so that messages name what the
    user wrote. What only parameters and constants go into is not lowered, and is left alone.

    Args:
        graph: the IR, which is changed.
        lowered: whether an operator needs no taking apart.
    """
    live = {*graph.inputs}
    graph.ops = [part for op in graph.ops for part in _parts(op, live, lowered) or [op]]
    return graph


def _parts(op: Op, live: set[Value], lowered: Callable[[Op], bool]) -> list[Op] | None:
    """Lowered operators that do the same; None if torch has no such list. ``live``: what holds neurons."""
    if not any(v in live for v in op.inputs()):
        live.update(op.outputs if is_layer(op.key) else ())
        return [op]
    live.update(op.outputs)
    if op.mutates:
        live.add(op.inputs()[0])
    if op.key in _WITH_BIAS and op.arguments["bias"] in live:
        layer, *rest = _bias_apart(op)
        return [*(_parts(layer, live, lowered) or [layer]), *rest]
    if lowered(op) and op.key not in _SECOND_NAMES and not _has_computed_filter(op, live):
        return [op]
    body = _body(op)
    if body is None:
        return None
    parts: list[Op] = []
    for inner in body:
        found = _parts(inner, live, lowered)
        if found is None:
            return None
        parts.extend(found)
    return parts


def _has_computed_filter(op: Op, live: set[Value]) -> bool:
    """A convolution whose filter the network computes is a product of two activations."""
    return op.key in _CONVOLUTIONS and op.arguments["weight"] in live


def _bias_apart(op: Op) -> list[Op]:
    """A layer whose bias the network computes (hypernetworks): without it, and an addition."""
    bias, (result,) = op.arguments["bias"], op.outputs
    spatial = len(op.arguments["weight"].shape) - 2
    unbiased = Value(f"{result.name}.unbiased", result.shape, result.dtype)
    shaped = Value(f"{result.name}.bias", (*bias.shape, *[1] * spatial), bias.dtype)
    args = tuple(None if a is bias else a for a in op.args)
    kwargs = {name: None if a is bias else a for name, a in op.kwargs.items()}
    reshape, add = torch.ops.aten.reshape.default, torch.ops.aten.add.Tensor
    return [
        Op(op.key, op.target, args, kwargs, [unbiased], op.scope),
        Op("aten.reshape", reshape, (bias, list(shaped.shape)), {}, [shaped], op.scope, aliases=True),
        Op("aten.add", add, (unbiased, shaped), {}, [result], op.scope),
    ]


def _body(op: Op) -> list[Op] | None:
    """The operators that one consists of, giving its own results; None where there are none."""
    target: Any = op.target
    if not isinstance(target, torch._ops.OpOverload) or target.namespace != "aten":  # noqa: SLF001  torch has no public name for it
        return None
    run = _decomposition(target)
    if run is None:
        return None
    values = list(dict.fromkeys(op.inputs()))

    def call(*tensors: Tensor) -> Any:
        args, kwargs = replace_values((op.args, op.kwargs), dict(zip(values, tensors, strict=True)))
        result = run(*args, **kwargs)
        return result if isinstance(result, Tensor) else list(result)

    body = Graph(inputs=values)
    try:
        with quiet_torch(), FakeTensorMode():
            examples = [torch.empty(v.shape, dtype=v.dtype) for v in values]
            module = make_fx(call)(*examples)
        names = [node.name for node in module.graph.find_nodes(op="placeholder")]
        convert_body(body, module, dict(zip(names, values, strict=True)))
    except (WsgraphError, RuntimeError, NotImplementedError, TypeError, ValueError):
        return None  # it cannot be run on shapes alone
    return _in_place_of(op, body)


def _decomposition(target: torch._ops.OpOverload) -> Callable[..., Any] | None:
    if target in OWN_DECOMPOSITIONS:
        return OWN_DECOMPOSITIONS[target]
    if target._can_decompose():  # noqa: SLF001  what torch.export asks itself
        return target.decompose
    return decomposition_table.get(target)


def _in_place_of(op: Op, body: Graph) -> list[Op] | None:
    """The body's operators with the results, the place and names of the operator that they replace."""
    if [v.shape for v in body.outputs] != [v.shape for v in op.outputs]:
        return None
    given = dict(zip(body.outputs, op.outputs, strict=True))
    names = {made: given.get(made, made) for part in body.ops for made in part.outputs}
    for part in body.ops:
        if any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves((part.args, part.kwargs))):
            return None
        part.rename_inputs(names)
        part.outputs = [names[made] for made in part.outputs]
        part.scope = op.scope
    for made in names.values():
        if made not in op.outputs:
            made.name = f"{op.outputs[0].name}.{made.name}"
    passed = [_alias(v, out, op.scope) for v, out in given.items() if v not in names]
    return [*body.ops, *passed]


def _alias(value: Value, name: Value, scope: str) -> Op:
    return Op("aten.alias", torch.ops.aten.alias.default, (value,), {}, [name], scope, aliases=True)
