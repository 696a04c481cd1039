"""Bad input: exit code 1, one clear message on standard error, no traceback, no file left behind."""

import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from torch import nn

ROOT = Path(__file__).parents[2]

NETS = """
    import torch
    from torch import nn

    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(x) if x.sum() > 0 else x

    class Singular(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return torch.linalg.svd(self.layer(x))[0]

    class Summing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x, y):
            return self.layer(x) + y
"""
"""A package of the user's own."""


class Command:
    """What unpickling this would do: make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """The user's package, importable."""
    (tmp_path / "mynets.py").write_text(dedent(NETS))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "mynets", raising=False)
    import mynets

    return mynets


@pytest.fixture
def refused(run, tmp_path):
    """Run a command that has to fail, and return its message."""

    def listing():
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    def run_refused(*arguments):
        before = listing()
        code, out, err = run(*arguments)
        assert (code, out) == (1, "")
        assert err.startswith("error: ")
        assert sum(line.startswith("error: ") for line in err.splitlines()) == 1
        assert "Traceback" not in err
        assert listing() == before
        return err

    return run_refused


def test_an_empty_file(refused, tmp_path):
    (tmp_path / "net.pt").touch()
    assert "net.pt is empty" in refused("compile", "net.pt")


@pytest.mark.parametrize("left", [3, 200, -20])
def test_a_truncated_file(refused, tmp_path, left):
    torch.save(nn.Linear(4, 2), tmp_path / "whole.pt")
    (tmp_path / "net.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:left])
    assert "truncated" in refused("compile", "net.pt")


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors", "net.pt2", "net.onnx", "net.txt"])
def test_a_text_file(refused, tmp_path, name):
    (tmp_path / name).write_text("these are no weights\n" * 20)
    assert name in refused("compile", name)


def test_a_folder_without_a_model(refused, tmp_path):
    (tmp_path / "folder").mkdir()
    assert "folder" in refused("compile", "folder")


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickle_that_would_run_code(refused, tmp_path, save):
    canary = tmp_path / "canary"
    save({"weight": torch.zeros(2), "more": Command(canary)}, tmp_path / "net.pt")
    refused("compile", "net.pt")
    refused("compile", "net.pt", "--allow", "posix", "--json")
    assert not canary.exists()
    os.mkdir(canary)  # noqa: PTH102  the very call: it does make the canary when it runs


def test_a_class_outside_the_trusted_packages(refused, nets, tmp_path):
    torch.save(nets.Summing(), tmp_path / "net.pt")
    message = refused("compile", "net.pt")
    assert "mynets.Summing" in message
    assert "--allow mynets" in message


def test_a_state_dict_that_no_architecture_matches(refused, tmp_path):
    torch.save({"a.weight": torch.zeros(3, 4, 5), "b": torch.zeros(7)}, tmp_path / "net.pt")
    message = refused("compile", "net.pt")
    assert "match no known architecture" in message
    assert "--arch" in message


def test_an_architecture_that_does_not_fit(refused, tmp_path):
    torch.save(nn.Linear(4, 2).state_dict(), tmp_path / "net.pt")
    message = refused("compile", "net.pt", "--arch", "torch.nn:Linear?in_features=4&out_features=3")
    assert "weight has shape (2, 4), the model expects (3, 4)" in message


def test_wrong_and_missing_shapes(refused, nets, tmp_path):
    torch.save(nn.Linear(4, 2), tmp_path / "net.pt")
    assert "does not run on an input of 1x5" in refused("compile", "net.pt", "--input", "1x5")
    assert "no shape" in refused("compile", "net.pt", "--input", "1,4")
    torch.save(nets.Summing(), tmp_path / "sum.pt")
    assert "takes 2 inputs" in refused("compile", "sum.pt", "--allow", "mynets")
    assert "got 1" in refused("compile", "sum.pt", "--allow", "mynets", "--input", "1x4")


@pytest.mark.parametrize("inputs", [(), ("--input", "1x4")])
def test_a_forward_that_depends_on_the_data(refused, nets, tmp_path, inputs):
    torch.save(nets.Branching(), tmp_path / "net.pt")
    assert "depends on the data" in refused("compile", "net.pt", "--allow", "mynets", *inputs)


def test_an_unsupported_operator(refused, nets, tmp_path):
    torch.save(nets.Singular(), tmp_path / "net.pt")
    message = refused("compile", "net.pt", "--allow", "mynets", "--input", "4x4")
    assert "aten.linalg_svd" in message
    assert "wsgraph_register_lowerings" in message


def test_a_model_without_parameters(refused, tmp_path):
    torch.save(nn.Sequential(nn.ReLU()), tmp_path / "net.pt")
    assert "no parameters" in refused("compile", "net.pt", "--input", "1x4")


@pytest.mark.parametrize("output", ["no/such/folder/x.wsg", "folder", "/proc/x.wsg"])
@pytest.mark.parametrize("emit", ["wsg", "events"])
def test_outputs_that_cannot_be_written(refused, tmp_path, output, emit):
    (tmp_path / "folder").mkdir()
    torch.save(nn.Linear(4, 2), tmp_path / "net.pt")
    message = refused("compile", "net.pt", "--input", "1x4", "-o", output, "--emit", emit)
    assert f"cannot write {output}" in message


@pytest.mark.parametrize("existing", [True, False])
def test_a_disk_that_is_full(refused, tmp_path, existing):
    torch.save(nn.Linear(256, 256), tmp_path / "net.pt")
    if existing:
        (tmp_path / "net.wsg").write_text("what was there before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        message = refused("compile", "net.pt", "--input", "1x256")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot write net.wsg" in message


@pytest.mark.parametrize("change", ["flip", "cut", "grow"])
def test_a_tampered_file_is_refused(run, refused, tmp_path, change):
    torch.save(nn.Linear(4, 2), tmp_path / "net.pt")
    assert run("compile", "net.pt", "--input", "1x4")[0] == 0
    path = tmp_path / "net.wsg"
    content = path.read_bytes()
    place = content.index(b"dense")
    changed = {
        "flip": content[:place] + b"DENSE" + content[place + 5 :],
        "cut": content[:-4],
        "grow": content + b"0000",
    }
    path.write_bytes(changed[change])
    assert "net.wsg" in refused("inspect", "net.wsg")
    assert "net.wsg" in refused("inspect", "net.wsg", "--json")


def test_a_compiled_file_is_no_model(run, refused, tmp_path):
    torch.save(nn.Linear(4, 2), tmp_path / "net.pt")
    run("compile", "net.pt", "--input", "1x4")
    assert "net.wsg is compiled already" in refused("compile", "net.wsg", "-o", "again.wsg")
    message = refused("inspect", "net.pt")
    assert "net.pt is no .wsg file" in message
    assert "`wsgraph compile net.pt`" in message


def test_nothing_but_the_message_in_a_process_of_its_own(nets, tmp_path):
    """Libraries write to standard error below Python's own streams, which only a process of its own shows."""
    torch.save(nets.Branching(), tmp_path / "net.pt")
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "plugins", ROOT / "encoders", tmp_path)))
    command = [
        sys.executable,
        "-B",
        "-m",
        "wsgraph",
        "compile",
        "net.pt",
        "--allow",
        "mynets",
        "--input",
        "1x4",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    message, remedy = done.stderr.splitlines()
    assert message.startswith("error: the forward depends on the data")
    assert remedy.startswith("  -> ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mynets.py", "net.pt"]
