"""The page about ONNX lists what the code reads."""

from pathlib import Path

from wsgraph.frontends.onnx.coverage import table
from wsgraph.frontends.onnx.registry import OPSETS

PAGE = Path(__file__).parents[2] / "docs" / "onnx.md"


def test_the_table_is_current():
    assert PAGE.read_text().endswith(table() + "\n")
    assert f"Opsets {OPSETS[0]} to {OPSETS[1]}" in PAGE.read_text()
