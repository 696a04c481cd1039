"""Which networks compile: timm, torchvision, transformers, and the well-known rest; writes docs/coverage.md.

``python benchmarks/coverage.py`` runs what has no result yet and writes the page; ``--only REGEX`` and
``--family NAME`` select, ``--fresh`` runs again what has a result, ``--all`` takes every timm model.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

from coverage_models import Case, all_cases
from coverage_models.pool import Worker
from coverage_models.report import markdown, summary, verdict

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "build" / "coverage.jsonl"
PAGE = ROOT / "docs" / "coverage.md"
GB = 10**9


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", metavar="REGEX", help="cases whose group/family/model matches")
    parser.add_argument("--family", help="cases of one family")
    parser.add_argument("--all", action="store_true", help="every model of timm, not one a family")
    parser.add_argument("--fresh", action="store_true", help="run again what has a result")
    parser.add_argument("--failed", action="store_true", help="run again what failed")
    parser.add_argument("--page", action="store_true", help="write the page from the results there are")
    parser.add_argument("--seconds", type=float, default=120, help="limit of time a network")
    parser.add_argument(
        "--verify-seconds", type=float, default=120, help="limit of time for the proof; 0 for none"
    )
    parser.add_argument(
        "--verify-elements", type=int, default=10**8, help="parameter elements of the largest network proved"
    )
    parser.add_argument("--gigabytes", type=float, default=12, help="limit of the worker's address space")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="where results are kept, a JSON line each"
    )
    return parser.parse_args()


def known(path: Path) -> dict[str, dict[str, Any]]:
    """Results so far, the latest of each case."""
    if not path.exists():
        return {}
    rows = (json.loads(line) for line in path.read_text().splitlines())
    return {row["key"]: row for row in rows}


def selected(options: argparse.Namespace) -> list[Case]:
    """The cases that the command line asks for."""
    cases = all_cases(every_timm_model=options.all)
    if options.only:
        cases = [case for case in cases if re.search(options.only, case.key)]
    if options.family:
        cases = [case for case in cases if case.family == options.family]
    return cases


def describe(row: dict[str, Any]) -> str:
    """A result in one line."""
    if "error" in row:
        return f"FAILS {row['error']}"
    size = f"{row['timestamps']} timestamps, {row['nodes']:,} nodes, {row['edges']:,} edges"
    return f"{size}; {verdict(row)}"


def proof(worker: Worker, case: Case, elements: int, options: argparse.Namespace) -> dict[str, Any]:
    """What ``wsgraph verify`` says of a network of so many parameter elements."""
    if not options.verify_seconds:
        return {}
    if elements > options.verify_elements:
        return {"proof": {"error": f"more than {options.verify_elements:,} parameter elements"}}
    return {"proof": worker.verify(case, options.verify_seconds)}


def run(cases: list[Case], results: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    """Compile the cases and keep each result as soon as it is there."""
    options.results.parent.mkdir(parents=True, exist_ok=True)
    worker = Worker(int(options.gigabytes * GB))
    start = time.monotonic()
    try:
        with options.results.open("a") as file:
            for k, case in enumerate(cases, 1):
                row = results[case.key] = worker.compile(case, options.seconds)
                if "error" not in row:
                    row |= proof(worker, case, row["ledger"]["elements"], options)
                print(json.dumps(row), file=file, flush=True)
                print(
                    f"[{k}/{len(cases)}, {time.monotonic() - start:.0f} s] {case.key}: {describe(row)}",
                    flush=True,
                )
    finally:
        worker.close()


def main() -> None:
    """Run the selected cases; without a selection, write the page of all results too."""
    options = arguments()
    results = known(options.results)
    cases = [] if options.page else selected(options)
    if not options.fresh:
        cases = [c for c in cases if c.key not in results or (options.failed and "error" in results[c.key])]
    run(cases, results, options)
    rows = [results[case.key] for case in all_cases(every_timm_model=True) if case.key in results]
    print(summary(rows))
    if not (options.only or options.family):
        PAGE.write_text(markdown(rows))
        print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
