"""What is done under ``with_box_operators`` fails with its own error, not with one about an import."""

import pytest

from wsgraph.frontends.libraries import import_library, with_box_operators


def refuse() -> None:
    raise RuntimeError("upper bound and lower bound inconsistent with step sign")


def test_a_model_that_cannot_be_built_says_why() -> None:
    with pytest.raises(RuntimeError, match="upper bound and lower bound"):
        with_box_operators(refuse)


def test_a_library_that_is_not_there() -> None:
    with pytest.raises(ImportError, match="no_such_library"):
        import_library("no_such_library")
