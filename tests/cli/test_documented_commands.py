"""Every ``wsgraph`` command line in the README and docs is one that the program takes."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from wsgraph.cli import main

ROOT = Path(__file__).parents[2]
PLACEHOLDER = re.compile(r"\b(FORMAT|SRC|MODEL|NAME=VALUE)\b")


def documented():
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        for line in re.findall(r"^(?: {4})?(wsgraph .*)$", text, flags=re.MULTILINE):
            yield pytest.param(line, id=f"{path.name}: {line.split('#')[0].strip()}")


def parse(command, name, arguments, parent=None):
    """Read a command line down to its sub-command, without running anything."""
    context = command.make_context(name, list(arguments), parent=parent)
    if hasattr(command, "resolve_command"):
        left = [*getattr(context, "_protected_args", ()), *context.args]
        name, sub, rest = command.resolve_command(context, left)
        return parse(sub, name, rest, context)
    return context


@pytest.mark.parametrize("line", list(documented()))
def test_a_documented_command_is_one(line, monkeypatch):
    monkeypatch.chdir(ROOT)
    if PLACEHOLDER.search(line):
        line = PLACEHOLDER.sub(lambda found: {"NAME=VALUE": "a=b"}.get(found[1], "x"), line)
    parse(get_command(main._app()), "wsgraph", shlex.split(line, comments=True)[1:])


def test_a_wrong_command_would_be_noticed():
    for line in ("zoo train vit --color -o zoo", "encode zoo", "zoo train gan -o zoo", "zebra"):
        with pytest.raises(Exception, match=r"(?i)no such|missing|not one of"):
            parse(get_command(main._app()), "wsgraph", shlex.split(line))
