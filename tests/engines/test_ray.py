"""The engine ``ray`` on a local cluster: same results as one process, dead workers, damaged checkpoints."""

import os
import signal

import pytest

from tests.encoding.zoos import make_zoo
from tests.zoo import layouts
from wsgraph.engines import LocalEngine, engine_of
from wsgraph.errors import WsgraphError, ZooError
from wsgraph.zoo import Checkpoint, ImportOptions, import_zoo, importing, open_zoo
from wsgraph_encoders.encoding import EncoderChoice, encode_zoo, pieces

pytestmark = [
    pytest.mark.usefixtures("cluster"),
    # Ray's own: files that its workers leave open, and what it has not adapted to yet.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_results_have_the_order_of_the_parts_and_dead_workers_cost_nothing_else(tmp_path):
    """Item 3 kills its worker once, item 6 each time."""
    mark = tmp_path / "killed"

    def square(items):
        for item in items:
            if item == 6 or (item == 3 and not mark.exists()):
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return [item**2 for item in items]

    taken = []

    def parts():
        for first in range(0, 9, 2):
            taken.append(first)
            yield list(range(first, min(first + 2, 9)))

    found = list(engine_of("ray").run(square, parts(), lambda item: f"lost {item}"))
    assert found == [[0, 1], [4, 9], [16, 25], ["lost 6", 49], [64]]
    assert taken == [0, 2, 4, 6, 8]


def test_an_error_of_the_function_is_raised():
    def fail(items):
        raise ZooError(f"no {items[0]}", remedy="another one")

    def break_down(items):
        return [1 // item for item in items]

    with pytest.raises(ZooError, match="no 7") as caught:
        list(engine_of("ray").run(fail, [[7]], str))
    assert caught.value.remedy == "another one"
    with pytest.raises(WsgraphError, match="cannot send"):
        list(engine_of("ray").run(len, [[(n for n in range(3))]], str))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(engine_of("ray").run(break_down, [[0]], str))


def test_an_import_gives_the_same_zoo_byte_for_byte(tmp_path):
    layouts.wild_park(tmp_path / "src")
    broken = sorted((tmp_path / "src").rglob("*.pt"))[1]
    broken.write_bytes(broken.read_bytes()[:200])
    reports = {
        engine: import_zoo("wild-park", tmp_path / "src", tmp_path / engine, engine=engine)
        for engine in ("local", "ray")
    }
    assert reports["local"] == reports["ray"]
    assert len(reports["ray"].failed) == 1
    assert reports["ray"].imported > 0
    assert contents(tmp_path / "local") == contents(tmp_path / "ray")
    again = import_zoo("wild-park", tmp_path / "src", tmp_path / "ray", engine="ray")
    assert (again.imported, again.present) == (0, reports["ray"].imported)


def test_a_matrix_of_many_models_is_mapped_by_each_worker(tmp_path):
    layouts.small_cnn_zoo(tmp_path / "src")
    options = ImportOptions(settings={"step": "86"})
    for engine in ("local", "ray"):
        import_zoo("small-cnn-zoo", tmp_path / "src", tmp_path / engine, options=options, engine=engine)
    assert contents(tmp_path / "local") == contents(tmp_path / "ray")


def test_a_checkpoint_that_kills_its_reader_is_listed(tmp_path, monkeypatch):
    layouts.dws_fashion(tmp_path / "src")
    plain = importing.zoo_format("dws-inrs")
    killer = next(iter(plain(tmp_path / "src", ImportOptions()))).id

    def deadly(source, options):
        for checkpoint in plain(source, options):
            if checkpoint.id == killer:

                def read():
                    os.kill(os.getpid(), signal.SIGKILL)

                yield Checkpoint(checkpoint.id, checkpoint.source, read)
            else:
                yield checkpoint

    monkeypatch.setattr(importing, "zoo_format", lambda _: deadly)
    report = import_zoo("dws-inrs", tmp_path / "src", tmp_path / "zoo", engine="ray")
    assert list(report.failed) == [killer]
    assert "died" in report.failed[killer]
    assert report.imported == report.listed - 1 == len(open_zoo(tmp_path / "zoo"))


def test_an_encoding_gives_the_same_table(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "_MODELS", 4)
    zoo, choice = make_zoo(tmp_path / "zoo", (9, 6)), EncoderChoice(hidden=8)
    make_zoo(zoo, (3, 0), first=9)
    last = max(zoo.glob("weights/*/*"), key=lambda path: path.name)
    last.write_bytes(last.read_bytes()[:64])  # the shard of the three models added last
    reports = {
        engine: encode_zoo(zoo, choice, tmp_path / f"{engine}.parquet", engine=engine)
        for engine in ("local", "ray")
    }
    assert reports["local"] == reports["ray"]
    assert (reports["ray"].encoded, sorted(reports["ray"].failed)) == (15, ["a10", "a11", "a9"])
    assert (tmp_path / "local.parquet").read_bytes() == (tmp_path / "ray.parquet").read_bytes()


def test_the_engine_of_a_name():
    assert isinstance(engine_of("local"), LocalEngine)
