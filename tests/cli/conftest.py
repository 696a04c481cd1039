"""Running ``wsgraph`` inside the test's own process."""

import sys

import pytest

from wsgraph.cli import main as cli
from wsgraph.lowering.plugins import DISABLE_VARIABLE


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run ``wsgraph`` in a folder of its own: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)
    monkeypatch.setenv(DISABLE_VARIABLE, "all")

    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["wsgraph", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    return run_command
