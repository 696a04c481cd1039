"""Importing the libraries that models come from."""

import pytest

from wsgraph.frontends.libraries import import_library


def test_a_library_that_is_not_there() -> None:
    with pytest.raises(ImportError, match="no_such_library"):
        import_library("no_such_library")
