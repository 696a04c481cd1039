"""How many of onnx's own tests the imported graphs pass.

    python benchmarks/onnx_models.py [--json] [--table]

Each model is translated, its IR run on the stored inputs, and compared with the stored outputs. A case is
out of scope if it has an operator or an element type that docs/onnx.md does not list. ``--table`` prints
that page's table. The file is not called ``onnx.py``: it would hide the package.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter

from wsgraph.frontends.onnx.coverage import table
from wsgraph.testing.onnx_cases import folder_cases, judge, node_cases

KINDS = ("node", "light", "simple", "pytorch-converted", "pytorch-operator")


def measure(kind: str) -> dict[str, object]:
    """Run all cases of one kind."""
    start = time.perf_counter()
    counts: Counter[str] = Counter()
    failures = {}
    for case in node_cases() if kind == "node" else folder_cases(kind):
        verdict = judge(case)
        counts[verdict.state] += 1
        if verdict.state == "failed":
            failures[case.name] = verdict.reason
    in_scope = counts["passed"] + counts["failed"]
    return {
        "kind": kind,
        **{state: counts[state] for state in ("passed", "failed", "out of scope")},
        "passed of those in scope": round(counts["passed"] / max(in_scope, 1), 4),
        "seconds": round(time.perf_counter() - start, 1),
        "failures": failures,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Run onnx's own tests through the IR.")
    parser.add_argument("kinds", nargs="*", default=KINDS, help=f"which tests: {', '.join(KINDS)}")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--table", action="store_true", help="print the table of operators and stop")
    options = parser.parse_args()
    if options.table:
        print(table())
        return
    rows = [measure(kind) for kind in options.kinds]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        failures = row.pop("failures")
        print(", ".join(f"{name}: {value}" for name, value in row.items()))
        for name, reason in sorted(failures.items()) if isinstance(failures, dict) else ():
            print(f"  {name}: {reason}")


if __name__ == "__main__":
    main()
