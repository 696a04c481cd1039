"""The hooks of wsgraph: everything that a plugin can add, one function each.

A plugin is a module that implements some of these under the same names, marked ``@wsgraph.hookimpl``,
and is named in its distribution's entry-point group ``wsgraph``. The built-in lowerings and commands come
through the very same hooks. Keep a plugin module's imports light (torch inside functions): commands come
from plugins too, so ``wsgraph --help`` imports them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable

    import typer

    from wsgraph.frontends.source import Source
    from wsgraph.ir.graph import Graph
    from wsgraph.lowering.facade import LoweringGraph
    from wsgraph.lowering.operation import Operation, State

__all__ = [
    "PROJECT",
    "Frontend",
    "Lowering",
    "Register",
    "Rewrite",
    "hookimpl",
    "hookspec",
    "wsgraph_register_commands",
    "wsgraph_register_frontends",
    "wsgraph_register_lowerings",
    "wsgraph_register_rewrites",
    "wsgraph_register_zoo_formats",
]

PROJECT = "wsgraph"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Lowering: TypeAlias = "Callable[[Operation, LoweringGraph], State | list[State] | tuple[State, ...]]"
"""What lowers an operator: adds its blocks to the graph and returns the states of its outputs."""

Rewrite: TypeAlias = "Callable[[Graph], Graph]"
"""A pass over the IR."""

Frontend: TypeAlias = "Callable[..., Source | None]"
"""Opens a kind of model source, or returns None for one that is not its kind."""

T_contra = TypeVar("T_contra", contravariant=True)


class Register(Protocol[T_contra]):
    """What a hook is given: call it once for every thing that the plugin adds."""

    def __call__(self, key: str, value: T_contra, /) -> None:
        """Add ``value`` under ``key``; a key that is taken already is a PluginError naming both owners."""


@hookspec
def wsgraph_register_lowerings(register: Register[Lowering]) -> None:
    """Add operators: ``register("mylib.scaled_linear", lower)``.

    The key is the operator's canonical name, its library and its name without the overload.
    ``lower(op, graph)`` gets the operator with its inputs, adds node and edge blocks to the graph and
    returns the operator's output.
    """


@hookspec
def wsgraph_register_rewrites(register: Register[Rewrite]) -> None:
    """Add passes over the IR: ``register("fuse-my-attention", rewrite)``.

    ``rewrite(graph)`` returns a graph. Passes run in the order of registration, the built-in ones first.
    """


@hookspec
def wsgraph_register_frontends(register: Register[Frontend]) -> None:
    """Add kinds of model source: ``register("mylib", open)``.

    ``open(source, inputs=..., arch=..., allow=...)`` returns a ``Source``, or None for a source that
    is not its kind; the first one that knows the source opens it.
    """


@hookspec
def wsgraph_register_zoo_formats(register: Register[Callable[..., Any]]) -> None:
    """Add layouts of model zoos that can be imported: ``register("my-zoo", importer)``."""


@hookspec
def wsgraph_register_commands(cli: typer.Typer) -> None:
    """Add sub-commands: ``cli.command("mine")(function)`` or ``cli.add_typer(app, name="mine")``.

    Only the command's signature is needed for ``--help``; import what it works with inside it. By custom
    every command takes ``--json``.
    """
