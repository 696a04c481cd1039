"""Exit codes and messages: one clear message on standard error, no traceback, no partial file."""

import pytest

import wsgraph
from wsgraph.cli import main as cli
from wsgraph.cli.target import Target
from wsgraph.errors import PluginError, WsgraphError
from wsgraph.lowering.plugins import DISABLE_VARIABLE


def failing_compile(monkeypatch, error):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setitem(vars(wsgraph), "compile", fail)


def test_version(run):
    assert run("--version") == (0, f"wsgraph {wsgraph.__version__}\n", "")


def test_no_arguments_shows_the_help(run):
    code, out, err = run()
    assert code == 2
    assert "compile" in out + err


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile",),
        ("complie", "model.pt"),
        ("compile", "model.pt", "--attention", "none"),
        ("compile", "model.pt", "--emit", "dot"),
        ("inspect",),
        ("plugins", "new", "Not A Name"),
    ],
)
def test_wrong_usage_is_2(run, arguments):
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert "Usage: wsgraph" in err


def test_a_missing_model_is_one_message(run, tmp_path):
    code, out, err = run("compile", "nowhere.pt")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "nowhere.pt" in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_one_message(run, tmp_path):
    (tmp_path / "broken.wsg").write_bytes(b"\xff" * 64)
    code, out, err = run("inspect", "broken.wsg", "--json")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "broken.wsg" in err


def test_error_shows_the_remedy(run, monkeypatch):
    failing_compile(monkeypatch, PluginError("what is wrong", remedy="what to do"))
    assert run("compile", "m.pt") == (1, "", "error: what is wrong\n  -> what to do\n")


def test_unexpected_exception_says_how_to_get_the_traceback(run, monkeypatch):
    failing_compile(monkeypatch, IndexError("list index out of range"))
    code, _, err = run("compile", "m.pt")
    assert code == 1
    assert err.startswith("internal error: IndexError: list index out of range\n")
    assert "WSGRAPH_DEBUG=1" in err
    assert "Traceback" not in err


def test_debug_variable_shows_the_traceback(run, monkeypatch):
    failing_compile(monkeypatch, IndexError("list index out of range"))
    monkeypatch.setenv(cli.DEBUG_VARIABLE, "1")
    code, _, err = run("compile", "m.pt")
    assert code == 1
    assert "Traceback (most recent call last)" in err


def test_interrupt_is_130(run, monkeypatch):
    failing_compile(monkeypatch, KeyboardInterrupt())
    code, out, err = run("compile", "m.pt")
    assert (code, out) == (130, "")
    assert "Traceback" not in err


def test_broken_plugin_is_one_message(run, monkeypatch, tmp_path):
    info = tmp_path / "dist_broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dist-broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[wsgraph]\nbroken = no_such_module_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(DISABLE_VARIABLE)
    code, out, err = run("--help")
    assert (code, out) == (1, "")
    assert "dist-broken 1.0 cannot be imported" in err


def test_output_is_checked_before_the_work(run, monkeypatch, tmp_path):
    failing_compile(monkeypatch, AssertionError("must not be reached"))
    (tmp_path / "model.wsg").write_text("")
    for output, problem in [("no/such/x.wsg", "no directory"), (".", "directory"), ("model.wsg", "itself")]:
        code, _, err = run("compile", "model.wsg", "-o", output)
        assert code == 1
        assert problem in err


def test_text_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    target = Target(tmp_path / "ir.txt", "model.pt")
    target.write_text("first")

    def refuse(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(WsgraphError, match="No space left on device"):
        target.write_text("second")
    assert [path.name for path in tmp_path.iterdir()] == ["ir.txt"]
    assert target.path.read_text() == "first"
