"""What commands print: tables and lines for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Output"]


class Output:
    """Prints a command's result.

    With ``as_json`` standard output carries one JSON document and nothing else; lines and tables for people
    go to standard error then.
    """

    def __init__(self, *, as_json: bool) -> None:
        from rich.console import Console

        self._as_json = as_json
        # Scopes and shapes contain brackets, which rich would take for its own markup.
        self._console = Console(stderr=as_json, markup=False, highlight=False, emoji=False)

    def line(self, text: str = "") -> None:
        """One line for people."""
        self._console.print(text, soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table for people: drawn on a terminal, plain aligned columns elsewhere.

        Args:
            columns: headings; one that starts with ``#`` is a column of numbers, aligned right.
            rows: cells, as many a row as there are columns.
        """
        headings = [column.removeprefix("#") for column in columns]
        numeric = [column.startswith("#") for column in columns]
        if self._console.is_terminal:
            self._drawn(headings, numeric, rows)
        else:
            self._plain(headings, numeric, rows)

    def working(self, text: str) -> AbstractContextManager[object]:
        """Shows that long work is under way: a spinner on a terminal, nothing elsewhere."""
        from rich.console import Console

        console = Console(stderr=True)
        return console.status(text) if console.is_terminal else nullcontext()

    def text(self, text: str) -> None:
        """A text that is itself the result; with ``--json`` it is part of the document instead."""
        if not self._as_json:
            sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def result(self, data: Any) -> None:
        """The result for programs; printed only with ``--json``."""
        if self._as_json:
            sys.stdout.write(json.dumps(data, indent=2) + "\n")

    def _drawn(self, headings: list[str], numeric: list[bool], rows: Iterable[Sequence[str]]) -> None:
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD)
        for heading, number in zip(headings, numeric, strict=True):
            table.add_column(heading, justify="right" if number else "left", no_wrap=number)
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    def _plain(self, headings: list[str], numeric: list[bool], rows: Iterable[Sequence[str]]) -> None:
        lines = [headings, *rows]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        for line in lines:
            cells = zip(line, widths, numeric, strict=True)
            text = "  ".join(cell.rjust(w) if number else cell.ljust(w) for cell, w, number in cells)
            self.line(text.rstrip())
