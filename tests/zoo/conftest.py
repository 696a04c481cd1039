"""Importing a zoo for a test: the opened zoo, its streams by id."""

import pytest

from wsgraph.zoo import ImportOptions, import_zoo, open_zoo


@pytest.fixture
def imported(tmp_path):
    """Import a folder; returns the zoo and the report."""

    def run(layout, source, **settings):
        report = import_zoo(layout, source, tmp_path / "zoo", options=ImportOptions(settings=settings))
        return open_zoo(tmp_path / "zoo"), report

    return run
