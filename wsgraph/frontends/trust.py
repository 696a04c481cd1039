"""What a pickled checkpoint may name, and why that is harmless (DESIGN section 3).

A pickle can do three things with a global: put it into the object graph, create an object without
running its constructor (``NEWOBJ``), and *call* it with any arguments (``REDUCE``). Only enums and the
pure functions listed here may be called. Of every other class the unpickler sees a
:class:`~wsgraph.frontends.stand_in.StandIn`, which creates objects and refuses to be called.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import inspect
import warnings
from enum import Enum
from types import MethodType
from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

from wsgraph.errors import CheckpointError, UnsafeCheckpointError
from wsgraph.frontends.libraries import import_library
from wsgraph.frontends.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["TRUSTED_ROOTS", "Grant", "grants"]

Grant = tuple[object, str]
"""An object and the dotted name under which the pickle asks for it."""

TRUSTED_ROOTS = ("torch.nn", "torch.ao.nn", "torchvision", "timm", "transformers")
"""Packages whose modules a checkpoint may name. The rest of torch generates and runs code (``torch.fx``,
``torch.jit``, ``torch.hub``, ``torch.package``), so that only its layers are trusted."""

_ACTIVATIONS = (
    *("celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu"),
    *("log_softmax", "logsigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softmin"),
    *("softplus", "softshrink", "softsign", "tanh", "tanhshrink"),
)

_PURE_FUNCTIONS: dict[str, Callable[..., object]] = {
    **{f"torch.nn.functional.{name}": getattr(functional, name) for name in _ACTIVATIONS},
    "torch._C._nn.gelu": functional.gelu,  # the name under which pickle finds the built-in
    "torch._C._nn.log_sigmoid": functional.logsigmoid,
    "torch._C._nn.softplus": functional.softplus,
}

_TORCH_FUNCTIONS = StandIn("torch._C._VariableFunctionsClass")
"""Where pickle looks up built-in functions of torch: ``getattr(_VariableFunctionsClass, "relu")``."""

_PURE_BUILTINS = frozenset({"abs", "cos", "erf", "exp", "relu", "sigmoid", "sin", "square", "tanh"})

_PURE_MODULES = ("timm.layers.activations", "timm.layers.activations_me")
"""Modules of nothing but element-wise functions."""

_SETTINGS = ("transformers.generation.configuration_utils.GenerationConfig",)
"""Plain holders of settings that are neither dataclasses nor enums."""

_UNTRUSTED = "it is not from a trusted package"


def grants(path: str, allow: Sequence[str], where: str) -> list[Grant]:
    """Decide about one global that the checkpoint asks for.

    Args:
        path: dotted name, such as ``torchvision.models.resnet.ResNet``.
        allow: packages that the user trusts beside :data:`TRUSTED_ROOTS`.
        where: the file, for messages.

    Returns:
        Pairs for ``torch.serialization.safe_globals``.

    Raises:
        UnsafeCheckpointError: if the name is outside the trusted packages, or of a kind that could run code.
        CheckpointError: if its package is not installed.
    """
    if path == "functools.partial":
        # Harmless, because everything that it could hold and later call comes through this function too.
        return [(functools.partial, path)]
    if path == "builtins.getattr":
        return [(_safe_getattr, path)]
    if path == _TORCH_FUNCTIONS.path:
        return [(_TORCH_FUNCTIONS, path)]
    if path in _PURE_FUNCTIONS:
        return [(_PURE_FUNCTIONS[path], path)]
    if not _is_inside(path, (*TRUSTED_ROOTS, *allow)):
        raise _refusal(path, where, _UNTRUSTED)
    found = _resolve(path, where)
    if not _is_inside(f"{found.__module__}.", (*TRUSTED_ROOTS, *allow)):
        raise _refusal(path, where, f"it is defined in {found.__module__}, which is not trusted")
    if inspect.isfunction(found) and found.__module__ in _PURE_MODULES:
        return [(found, path)]
    return _class_grants(found, path, where)


def _is_inside(path: str, roots: Sequence[str]) -> bool:
    """Whether the dotted name lies in one of the packages; ``__main__`` files never count as such."""
    return "__main__" not in path.split(".")[1:] and any(path.startswith(f"{root}.") for root in roots)


def _resolve(path: str, where: str) -> type | Callable[..., object]:
    """Import the global of a trusted package; submodules are entered by import, classes by attribute."""
    parts = path.split(".")
    found: object = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an old file may name a place that has since moved
            depth, found = _import_longest(parts)
    except ImportError as error:
        raise CheckpointError(
            f"{where} holds a {path}, but importing it failed: {error}",
            remedy=f"pip install {parts[0]}, in a version that has {path}",
        ) from error
    for name in parts[depth:]:
        if not (inspect.ismodule(found) or isinstance(found, type)):
            raise _refusal(path, where, "it is neither a class nor a function")
        found = vars(found).get(name)
    if not isinstance(found, type) and not inspect.isfunction(found):
        raise _refusal(path, where, "it is neither a class nor a function of the installed version")
    return found


def _import_longest(parts: list[str]) -> tuple[int, object]:
    """Import the longest prefix of a dotted name that is a module; returns its length and the module."""
    depth = 1
    module = import_library(parts[0])
    while depth < len(parts) - 1 and hasattr(module, "__path__"):
        name = ".".join(parts[: depth + 1])
        if importlib.util.find_spec(name) is None:
            break
        module = import_library(name)
        depth += 1
    return depth, module


def _class_grants(found: object, path: str, where: str) -> list[Grant]:
    """Grants for a class of a trusted package: creating its objects, but never its constructor."""
    if not isinstance(found, type):
        raise _refusal(path, where, "it is a function, which the checkpoint could call with any arguments")
    if hasattr(found, "__del__"):
        raise _refusal(path, where, "its objects run code when they are discarded")
    if issubclass(found, Enum):
        return [(StandIn(path, call=functools.partial(_member, found)), path)]
    if issubclass(found, tuple) and hasattr(found, "_fields"):
        return [(StandIn(path, new=lambda _cls, *items: tuple.__new__(found, items)), path)]
    plain = issubclass(found, nn.Module) or dataclasses.is_dataclass(found) or path in _SETTINGS
    if not plain or found.__new__ is not object.__new__:
        raise _refusal(path, where, "it is neither an nn.Module nor a plain enum, dataclass or named tuple")
    # The unpickler fills an object's state only if its class is granted. No pickle can ask for the
    # class itself under this name: a global's name ends at the line's end.
    return [(StandIn(path, new=lambda _cls: object.__new__(found)), path), (found, f"{path}\n")]


def _member(kind: type[Enum], value: object) -> Enum:
    """The enum's member; the call with more arguments that makes new enums is not offered."""
    return kind(value)


def _safe_getattr(owner: object, name: str) -> Callable[..., object]:
    """The two uses of ``getattr``: ``self.act = torch.sin`` and ``self.forward = self.forward_variant``."""
    if owner is _TORCH_FUNCTIONS and name in _PURE_BUILTINS:
        return cast("Callable[..., object]", getattr(torch, name))
    method = inspect.getattr_static(type(owner), name, None)
    if not (isinstance(owner, nn.Module) and name.startswith("forward") and inspect.isfunction(method)):
        raise UnsafeCheckpointError(
            f"the checkpoint asks for getattr({owner!r}, {name!r}); it may do so for forward methods only",
            remedy="save the model's state dict instead of the whole module",
        )
    return MethodType(method, owner)


def _refusal(path: str, where: str, why: str) -> UnsafeCheckpointError:
    package = path.split(".", maxsplit=1)[0]
    allow = f"if you trust the package, and this is one of its layers, pass --allow {package}; or "
    return UnsafeCheckpointError(
        f"{where} asks for {path}, which is not allowed in a checkpoint: {why} (loading runs no code)",
        remedy=f"{allow if why == _UNTRUSTED else ''}save the model's state dict and pass --arch",
    )
