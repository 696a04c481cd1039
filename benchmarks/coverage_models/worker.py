"""Compiles one network after the other in a process that can be killed: cases in, JSON lines out."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import torch

import wsgraph
from coverage_models import all_cases
from wsgraph.frontends.skeleton import skeleton

if TYPE_CHECKING:
    from coverage_models.case import Case

__all__ = ["compile_case", "serve"]


def compile_case(case: Case) -> dict[str, Any]:
    """What the table says of one network: its graph's size and ledger, or why it fails."""
    row: dict[str, Any] = {"key": case.key, "group": case.group, "family": case.family, "name": case.name}
    start = time.perf_counter()
    try:
        torch.manual_seed(0)
        with skeleton():
            model, inputs = case.build()
        start = time.perf_counter()
        stream = wsgraph.compile(model.eval(), inputs)
        seconds = time.perf_counter() - start
        totals = stream.ledger().to_dict()["totals"]["parameter"]
    except Exception as error:  # noqa: BLE001  whatever goes wrong is a row of the table
        seconds = time.perf_counter() - start
        reason = " ".join(str(error).split())[:400]
        return row | {"seconds": round(seconds, 2), "error": f"{type(error).__name__}: {reason}"}
    return row | {
        "seconds": round(seconds, 2),
        "frontend": stream.structure.meta["frontend"],
        "timestamps": stream.num_timestamps,
        "nodes": stream.num_nodes,
        "edges": stream.num_edges,
        "ledger": totals,
    }


def serve(memory: int) -> None:
    """Answer each case's key on standard input by one JSON line.

    Args:
        memory: limit of the process's address space, in bytes.
    """
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    torch.set_num_threads(1)
    cases = {case.key: case for every in (False, True) for case in all_cases(every_timm_model=every)}
    answers = sys.stdout
    sys.stdout = sys.stderr  # libraries print
    for line in sys.stdin:
        print(json.dumps(compile_case(cases[line.strip()])), file=answers, flush=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
