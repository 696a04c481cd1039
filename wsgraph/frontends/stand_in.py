"""A stand-in for a class while a checkpoint is unpickled: it creates objects but cannot be called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgraph.errors import UnsafeCheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StandIn"]


class StandIn:
    """What a checkpoint's reference to a class becomes.

    Left in an attribute of the loaded model (``self.norm_layer = nn.LayerNorm``) it stays a stand-in, so
    that a forward hook made of a class and chosen arguments cannot run a constructor later either.

    Args:
        path: dotted name of the class.
        new: creates an empty object; takes the class and the arguments of the ``NEWOBJ`` instruction.
        call: what a call does; None refuses every call.
    """

    def __init__(
        self,
        path: str,
        *,
        new: Callable[..., object] | None = None,
        call: Callable[..., object] | None = None,
    ) -> None:
        self.path = path
        self._call = call
        # The unpickler evaluates `cls.__new__(cls, *args)`: an instance attribute takes precedence.
        vars(self)["__new__"] = new or self._refuse

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Refuse, unless the class is one that may be called."""
        if self._call is None:
            return self._refuse(*args, **kwargs)
        return self._call(*args, **kwargs)

    def _refuse(self, *_args: object, **_kwargs: object) -> object:
        raise UnsafeCheckpointError(
            f"the checkpoint calls {self.path}; it may name this class, but not run its constructor",
            remedy="save the model's state dict instead of the whole module",
        )

    def __repr__(self) -> str:
        return f"<class {self.path}, named by a checkpoint>"
