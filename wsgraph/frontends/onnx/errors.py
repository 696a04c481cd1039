"""What goes wrong inside a readable ONNX model, worded once."""

from __future__ import annotations

from wsgraph.errors import FrontendError

__all__ = ["UnknownOperatorError", "UnsupportedTypeError", "data_dependent"]


class UnknownOperatorError(FrontendError):
    """An operator, or one of its options, that is not translated."""


class UnsupportedTypeError(FrontendError):
    """Elements of a type that torch cannot compute with: text, four-bit numbers."""


def data_dependent(what: str, where: str) -> FrontendError:
    """The error for a structure that depends on the input's numbers."""
    return FrontendError(
        f"{what} of {where or 'a node'} depends on the model's input, "
        "so the graph is not the same for all inputs",
        remedy="export the model with fixed shapes and without data-dependent control flow",
    )
