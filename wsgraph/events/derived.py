"""Derived tensors: computed from parameters by a recipe, such as a weight-normed weight.

A recipe is JSON text: a list of lines ``[result, operator, arguments, keyword arguments]``, run in order;
the last line's result is the tensor. In the arguments, ``"%2"`` is an earlier result, ``"@fc.weight_v"`` a
tensor of the model, ``"torch.float32"`` a constant of torch's, ``"=none"`` a plain string; numbers,
booleans, null and lists are themselves. ``getitem`` takes one result of an operator with several.

    [["%0", "aten.mul.Tensor", ["@fc.g", "@fc.v"], {}]]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from wsgraph.errors import StructureError
from wsgraph.events.recipe import Line, Result, Source, parse_recipe
from wsgraph.events.recipe_ops import FACTORIES, lookup_operator
from wsgraph.precision import widened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch._ops import OpOverload

    from wsgraph.events.blocks import Derived

__all__ = ["evaluate"]

# An honest recipe's intermediate results are about the size of its weights. This bounds what a tampered
# one can allocate, with room for the small weights whose Gram matrices are larger than themselves.
_GROWTH = 256
_ALWAYS_ALLOWED = 1 << 24


def evaluate(derived: Derived, weights: Mapping[str, Tensor]) -> Tensor:
    """Run a derived tensor's recipe.

    Args:
        derived: the recipe and the shape that it promises.
        weights: the model's tensors; those that the recipe names are read.

    Returns:
        The tensor, ``[*derived.shape]``.

    Raises:
        StructureError: the recipe is malformed, fails, grows beyond its sources, or gives another shape.
    """
    lines = parse_recipe(derived)
    sources = {name: weights[name] for name in derived.sources}
    # With weights in float64 everything is, whatever types the traced model asks for.
    wide = any(tensor.dtype is torch.float64 for tensor in sources.values())
    adapt: Callable[[Any], Any] = widened if wide else _as_it_is
    try:
        # On meta tensors first: shapes are known, and nothing is allocated, before anything is computed.
        rehearsal = {name: torch.empty_like(tensor, device="meta") for name, tensor in sources.items()}
        shape = _run(lines, rehearsal, "meta", adapt, _size_guard(derived, sources)).shape
        if tuple(shape) != derived.shape:
            raise StructureError(
                f"derived tensor {derived.name!r}: its recipe gives {list(shape)}, "
                f"expected {list(derived.shape)}"
            )
        device = next((str(tensor.device) for tensor in sources.values()), "cpu")
        return _run(lines, sources, device, adapt, _accept)
    except (RuntimeError, TypeError, ValueError, LookupError, ArithmeticError, AssertionError) as error:
        raise StructureError(f"derived tensor {derived.name!r}: its recipe fails: {error}") from error


def _run(
    lines: tuple[Line, ...],
    sources: Mapping[str, Tensor],
    device: str,
    adapt: Callable[[Any], Any],
    check: Callable[[Any], None],
) -> Tensor:
    """Run the lines over tensors on one device.

    ``adapt`` is applied to every argument and result, ``check`` sees each result.
    """
    results: dict[str, Any] = {}

    def value(leaf: Any) -> Any:
        if isinstance(leaf, Source):
            return adapt(sources[leaf.name])
        return results[leaf.name] if isinstance(leaf, Result) else adapt(leaf)

    for line in lines:
        args, kwargs = tree_map(value, (line.args, line.kwargs))
        if line.operator == "getitem":
            results[line.result] = args[0][args[1]]
        else:
            base = line.operator.rpartition(".")[0]
            if base in FACTORIES:
                kwargs["device"] = device
            if base == "aten.batch_norm":
                # With training=True it updates running statistics, which its schema keeps quiet about.
                args, kwargs = tree_map(_private_copy, (args, kwargs))
            operator = lookup_operator(line.operator)
            made = operator(*_placed(operator, args, device), **kwargs)
            results[line.result] = tree_map(adapt, made)
        check(results[line.result])
    last = results[lines[-1].result]
    if not isinstance(last, Tensor):
        raise StructureError(f"a recipe's last line, {lines[-1].operator}, gives no single tensor")
    return last


def _placed(operator: OpOverload, args: Sequence[Any], device: str) -> list[Any]:
    """Arguments with the device filled in where an operator asks for one (``aten.to.device``)."""
    schema = operator._schema.arguments  # noqa: SLF001  the way to it
    wanted = {k for k, argument in enumerate(schema) if str(argument.type) == "Device"}
    return [device if a is None and k in wanted else a for k, a in enumerate(args)]


def _size_guard(derived: Derived, sources: Mapping[str, Tensor]) -> Callable[[Any], None]:
    """A check that no intermediate result is out of proportion to the sources."""
    limit = max(_ALWAYS_ALLOWED, _GROWTH * sum(tensor.numel() for tensor in sources.values()))

    def check(result: Any) -> None:
        largest = max((leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)), default=0)
        if largest > limit:
            raise StructureError(
                f"derived tensor {derived.name!r}: a line of its recipe makes {largest:,} elements, "
                f"more than the {limit:,} that its sources justify"
            )

    return check


def _as_it_is(leaf: Any) -> Any:
    return leaf


def _accept(_result: Any) -> None:
    """No check: the rehearsal has made it."""


def _private_copy(leaf: Any) -> Any:
    return leaf.clone() if isinstance(leaf, Tensor) else leaf
