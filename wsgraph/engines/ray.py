"""The engine for clusters: parts are tasks of Ray Data, which runs them again when a worker dies.

Paths mean the same on every machine of the cluster, and wsgraph is installed on all of them.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from wsgraph.errors import MissingDependencyError, WsgraphError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["RayEngine"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_WINDOW = 64
"""Parts given to Ray at a time: enough to keep a cluster busy, few enough to hold in memory."""

_ATTEMPTS = 3
_STORE_BYTES = 512 << 20


class RayEngine:
    """Runs parts on a Ray cluster: the one that ``RAY_ADDRESS`` names, else this machine's processors.

    A part whose worker dies is run twice more, then item by item, so that one item that kills its worker
    costs no other.

    Raises:
        MissingDependencyError: Ray is not installed.
    """

    def __init__(self) -> None:
        self._ray = _import_ray()

    def run(
        self,
        function: Callable[[Sequence[Item]], list[Result]],
        parts: Iterable[Sequence[Item]],
        lost: Callable[[Item], Result],
    ) -> Iterator[list[Result]]:
        """See :class:`~wsgraph.engines.Engine`."""
        _start(self._ray)
        remaining = iter(parts)
        while window := list(islice(remaining, _WINDOW)):
            yield from self._window(function, window, lost)

    def _window(
        self,
        function: Callable[[Sequence[Item]], list[Result]],
        parts: list[Sequence[Item]],
        lost: Callable[[Item], Result],
    ) -> Iterator[list[Result]]:
        held: dict[int, list[Result]] = {}
        following = 0
        for place, results in self._results(function, parts):
            held[place] = results
            while following in held:
                yield held.pop(following)
                following += 1
        for place in range(following, len(parts)):
            yield held.pop(place) if place in held else self._singly(function, parts[place], lost)

    def _singly(
        self,
        function: Callable[[Sequence[Item]], list[Result]],
        part: Sequence[Item],
        lost: Callable[[Item], Result],
    ) -> list[Result]:
        """The results of a part whose worker died each time."""
        found = dict(self._results(function, [[item] for item in part])) if len(part) > 1 else {}
        return [found[place][0] if place in found else lost(item) for place, item in enumerate(part)]

    def _results(
        self, function: Callable[[Sequence[Item]], list[Result]], parts: Sequence[Sequence[Item]]
    ) -> Iterator[tuple[int, list[Result]]]:
        """Numbers and results of the parts whose workers lived, as they are done."""
        cloudpickle: Any = self._ray.cloudpickle
        try:
            rows = [{"place": place, "part": cloudpickle.dumps(part)} for place, part in enumerate(parts)]
        except Exception as error:  # objects of plugins refuse to be pickled in every way there is
            raise WsgraphError(
                f"the engine 'ray' cannot send the work to other processes: {type(error).__name__}: {error}",
                remedy="leave --engine out",
            ) from error
        dataset = self._ray.data.from_items(rows, override_num_blocks=len(rows))
        attempts = self._ray.remote(num_cpus=0)(_Attempts).remote()
        for row in dataset.map(_task(function, attempts)).iter_rows():
            if row["state"] == "lost":
                continue
            content = cloudpickle.loads(row["content"])
            if row["state"] == "error":
                raise content
            yield row["place"], content


class _Attempts:
    """How often each part was begun: an actor, which outlives the workers.

    Ray Data repeats a task whose worker dies without end.
    """

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, place: int) -> int:
        """Count an attempt; returns its number."""
        self._begun[place] += 1
        return self._begun[place]


def _task(function: Callable[[Any], Any], attempts: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def work(row: dict[str, Any]) -> dict[str, Any]:
        import ray

        cloudpickle: Any = ray.cloudpickle
        content: object = None
        state = "done"
        if ray.get(attempts.begin.remote(row["place"])) > _ATTEMPTS:
            state = "lost"
        else:
            try:
                content = function(cloudpickle.loads(row["part"]))
            except WsgraphError as error:
                content, state = error, "error"
            except Exception:  # noqa: BLE001  raised again by the caller; it may not survive pickling itself
                content, state = RuntimeError(traceback.format_exc()), "error"
        return {"place": row["place"], "state": state, "content": cloudpickle.dumps(content)}

    return work


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray.data
    except ImportError as error:
        raise MissingDependencyError(
            "the engine 'ray' needs Ray Data, which is not installed", remedy="pip install 'wsgraph[ray]'"
        ) from error
    return ray


def _start(ray: Any) -> None:
    """Connect to a cluster, unless the caller has."""
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # lost parts are reported by what asked for them
    ray.data.DataContext.get_current().enable_progress_bars = False
    if ray.is_initialized():
        return
    here = {
        "num_cpus": len(os.sched_getaffinity(0)),
        "include_dashboard": False,
        "object_store_memory": _STORE_BYTES,
    }
    try:
        ray.init(
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if os.environ.get("RAY_ADDRESS") else here),
        )
    except Exception as error:  # it raises Exception itself where its processes do not come up in time
        raise WsgraphError(
            f"Ray cannot be started or reached: {type(error).__name__}: {error}",
            remedy="see RAY_ADDRESS, or leave --engine out",
        ) from error
