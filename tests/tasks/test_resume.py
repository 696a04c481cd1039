"""A training that is killed, wherever, and run again ends as one that was never interrupted."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

from wsgraph_encoders.tasks import TrainSettings, train_task
from wsgraph_encoders.tasks.callbacks import SafeCheckpoints
from wsgraph_encoders.tasks.learner import Learner

SETTINGS = TrainSettings(epochs=6, patience=6, batch=8, chunk=4, dropout=0.3, hidden=8)
FILES = ("predictions.parquet", "history.parquet")

KILLED = """
import os, signal, sys
from wsgraph_encoders.tasks import TrainSettings, train_task
from wsgraph_encoders.tasks.lightning_extra import require_packages
require_packages("lightning")
from wsgraph_encoders.tasks.learner import Learner

step, count = Learner.training_step, 0
def counted(self, piece, number):
    global count
    count += 1
    if count == 17:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, piece, number)
Learner.training_step = counted
train_task(sys.argv[1], sys.argv[2], methods=["dng"], settings=TrainSettings(**eval(sys.argv[3])))
"""


class Killed(BaseException):
    """Nothing catches it, as nothing catches a signal."""


def trained(path, zoo, **changes):
    return train_task(path, zoo, methods=["dng"], settings=changes.get("settings", SETTINGS))


def tables(path):
    return [pl.read_parquet(path / "dng-0" / name) for name in FILES]


@pytest.fixture(scope="module")
def uninterrupted(two_architectures, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    trained(path, two_architectures)
    found = tables(path)
    assert found[1]["epoch"].unique().sort().to_list() == list(range(6))
    return found


def same(found, expected):
    return all(one.equals(other) for one, other in zip(found, expected, strict=True))


def test_a_killed_process(two_architectures, uninterrupted, tmp_path):
    root = Path(__file__).parents[2]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(root / p) for p in ("", "plugins", "encoders"))
    }
    arguments = [tmp_path / "run", two_architectures, repr(SETTINGS.to_json())]
    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, *map(str, arguments)], env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "run" / "dng-0" / "checkpoints" / "last.ckpt").is_file()
    assert not (tmp_path / "run" / "dng-0" / "predictions.parquet").exists()
    trained(tmp_path / "run", two_architectures)
    assert same(tables(tmp_path / "run"), uninterrupted)


@pytest.mark.parametrize("write", [1, 2, 5, 6, 11, 12])
def test_killed_while_a_checkpoint_is_written(two_architectures, uninterrupted, tmp_path, monkeypatch, write):
    save, count = SafeCheckpoints.save_checkpoint, 0

    def interrupted(self, checkpoint, path, storage_options=None):
        nonlocal count
        count += 1
        if count == write:
            raise Killed
        save(self, checkpoint, path, storage_options)

    with monkeypatch.context() as patch:
        patch.setattr(SafeCheckpoints, "save_checkpoint", interrupted)
        with suppress(Killed):
            trained(tmp_path, two_architectures)
    trained(tmp_path, two_architectures)
    assert same(tables(tmp_path), uninterrupted)


def test_killed_after_the_last_epoch(two_architectures, tmp_path, monkeypatch):
    """Also after early stopping: it does not train on."""
    settings = TrainSettings(epochs=30, patience=2, batch=8, chunk=4, hidden=8, learning_rate=0.3)
    trained(tmp_path / "whole", two_architectures, settings=settings)
    expected = tables(tmp_path / "whole")
    assert expected[1]["epoch"].max() < 29

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("wsgraph_encoders.tasks.fit._predict", killed)
        with pytest.raises(Killed):
            trained(tmp_path / "parts", two_architectures, settings=settings)
    steps = []
    step = Learner.training_step
    monkeypatch.setattr(Learner, "training_step", lambda *a: steps.append(a) or step(*a))
    trained(tmp_path / "parts", two_architectures, settings=settings)
    assert not steps
    assert same(tables(tmp_path / "parts"), expected)


def test_what_is_finished_is_left_alone(two_architectures, tmp_path):
    run = trained(tmp_path, two_architectures)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "dng-0").rglob("*") if path.is_file()}
    again = trained(tmp_path, two_architectures)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "dng-0").rglob("*") if path.is_file()}
    assert before == after
    assert run.pairs == again.pairs == [("dng", 0)]
