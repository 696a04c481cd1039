"""``wsgraph plugins``."""

import json

from wsgraph.lowering.plugins import DISABLE_VARIABLE


def test_list_shows_what_each_plugin_registers(run):
    code, out, err = run("plugins", "list", "--json")
    assert (code, err.splitlines()[0].split()) == (0, ["plugin", "distribution", "version", "registers"])
    plugins = {plugin["name"]: plugin for plugin in json.loads(out)["plugins"]}
    assert plugins["wsgraph.cli.builtin"]["registers"]["commands"] == [
        "compile", "inspect", "symmetries", "verify", "plugins",
    ]  # fmt: skip
    assert "aten.linear" in plugins["wsgraph_plugins.linear"]["registers"]["lowerings"]
    assert all(plugin["builtin"] and plugin["enabled"] for plugin in plugins.values())


def test_list_shows_what_is_switched_off(run, monkeypatch):
    monkeypatch.setenv(DISABLE_VARIABLE, "all,wsgraph_plugins.conv")
    code, out, _ = run("plugins", "list")
    assert code == 0
    (line,) = (line for line in out.splitlines() if line.startswith("wsgraph_plugins.conv "))
    assert line.endswith("(switched off)")


def test_new_writes_a_distribution(run, tmp_path):
    code, out, _ = run("plugins", "new", "my-ops")
    assert code == 0
    assert "pip install -e wsgraph-plugin-my-ops" in out
    root = tmp_path / "wsgraph-plugin-my-ops"
    assert 'my-ops = "wsgraph_plugin_my_ops.plugin"' in (root / "pyproject.toml").read_text()
    assert "wsgraph_plugin_my_ops.scaled_linear" in (root / "wsgraph_plugin_my_ops" / "plugin.py").read_text()
    assert not any("$" in path.read_text() for path in root.rglob("*") if path.is_file())


def test_new_overwrites_nothing(run, tmp_path):
    mine = tmp_path / "wsgraph-plugin-kan" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("")
    code, _, err = run("plugins", "new", "kan")
    assert code == 1
    assert "exists already" in err
    assert list(mine.parent.iterdir()) == [mine]


def test_new_needs_an_existing_directory(run):
    code, _, err = run("plugins", "new", "kan", "--directory", "nowhere", "--json")
    assert code == 1
    assert "cannot write nowhere/wsgraph-plugin-kan: No such file or directory" in err
