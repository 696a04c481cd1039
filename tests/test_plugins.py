"""Finding, loading and checking plugins, with real distributions in a temporary folder."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from wsgraph.errors import PluginError
from wsgraph.lowering.plugins import BUILTIN_COMMANDS, BUILTIN_PLUGINS, DISABLE_VARIABLE, load_plugins
from wsgraph.lowering.registry import Registry

GOOD = """
    import wsgraph

    def lower(op, graph):
        return None

    @wsgraph.hookimpl
    def wsgraph_register_lowerings(register):
        register("mylib.scaled", lower)
"""


class Installer:
    """Puts distributions with one plugin module each on the path."""

    def __init__(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site = site
        self.monkeypatch = monkeypatch
        monkeypatch.syspath_prepend(site)

    def __call__(self, name: str, source: str, *, version: str = "1.0") -> None:
        module = f"wsgraph_test_{name}"
        self.monkeypatch.delitem(sys.modules, module, raising=False)
        (self.site / f"{module}.py").write_text(dedent(source))
        info = self.site / f"dist_{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[wsgraph]\n{name} = {module}\n")


@pytest.fixture
def install(tmp_path, monkeypatch):
    monkeypatch.delenv(DISABLE_VARIABLE, raising=False)
    return Installer(tmp_path, monkeypatch)


def failure(builtin=()):
    with pytest.raises(PluginError) as caught:
        load_plugins(builtin).registry()
    return str(caught.value)


def test_a_third_party_plugin_registers_its_lowering(install):
    install("good", GOOD, version="2.5")
    host = load_plugins(())
    (plugin,) = (p for p in host.plugins if p.name == "good")
    assert (plugin.distribution, plugin.version, plugin.builtin) == ("dist-good", "2.5", False)
    assert host.hooks(plugin) == ("wsgraph_register_lowerings",)
    registry = host.registry()
    assert registry.lowerings.get("mylib.scaled").function is plugin.module.lower
    assert registry.lowerings.get("mylib.scaled").owner == "good"
    assert registry.lowerings.get("mylib.other") is None


def test_all_hooks_reach_their_tables_in_order_of_registration(install):
    install(
        "wide",
        """
        import wsgraph

        @wsgraph.hookimpl
        def wsgraph_register_rewrites(register):
            register("second-name", len)
            register("first-name", repr)

        @wsgraph.hookimpl
        def wsgraph_register_frontends(register):
            register("myformat", open)

        @wsgraph.hookimpl
        def wsgraph_register_zoo_formats(register):
            register("myzoo", iter)
        """,
    )
    registry = load_plugins(()).registry()
    assert registry.rewrites.owned_by("wide") == ("second-name", "first-name")
    assert [(e.key, e.function, e.owner) for e in registry.frontends] == [("myformat", open, "wide")]
    assert [e.key for e in registry.zoo_formats] == ["myzoo"]


def test_duplicate_registration_names_both_owners(install):
    install("one", GOOD)
    install("two", GOOD)
    message = failure()
    assert "'mylib.scaled' is registered twice: by one and by two" in message
    assert "WSGRAPH_DISABLE_PLUGINS=two" in message


def test_misspelt_hook_is_an_error(install):
    install("typo", GOOD.replace("wsgraph_register_lowerings", "wsgraph_register_lowering"))
    message = failure()
    assert "typo (distribution dist-typo 1.0)" in message
    assert "wsgraph_register_lowering" in message


def test_unknown_argument_of_a_hook_is_an_error(install):
    install("args", GOOD.replace("(register)", "(registrar)").replace("register(", "registrar("))
    assert "registrar" in failure()


def test_forgotten_marker_is_an_error(install):
    install("unmarked", GOOD.replace("@wsgraph.hookimpl", ""))
    message = failure()
    assert "implements no hook" in message
    assert "@wsgraph.hookimpl" in message


def test_failing_import_names_the_distribution(install):
    install("broken", "import a_package_that_is_not_there")
    message = failure()
    assert "distribution dist-broken 1.0 cannot be imported" in message
    assert "ModuleNotFoundError: No module named 'a_package_that_is_not_there'" in message


def test_failing_hook_names_plugin_and_hook(install):
    install("raises", GOOD.replace('register("mylib.scaled", lower)', "1 / 0"))
    message = failure()
    assert "raises (distribution dist-raises 1.0) failed in wsgraph_register_lowerings" in message
    assert "ZeroDivisionError" in message


def test_only_functions_can_be_registered(install):
    install("value", GOOD.replace(", lower)", ", 'lower')"))
    assert "'mylib.scaled' as 'lower', which is not callable" in failure()


@pytest.mark.parametrize("value", ["all", "good", "dist-good", " other , good "])
def test_environment_variable_switches_plugins_off(install, monkeypatch, value):
    install("good", "raise RuntimeError('never imported')")
    monkeypatch.setenv(DISABLE_VARIABLE, value)
    host = load_plugins(BUILTIN_COMMANDS)
    (plugin,) = (p for p in host.plugins if p.name == "good")
    assert not plugin.enabled
    assert host.hooks(plugin) == ()
    assert all(p.enabled for p in host.plugins if p.builtin)


def test_builtin_plugins_can_be_switched_off_by_name(monkeypatch):
    monkeypatch.setenv(DISABLE_VARIABLE, BUILTIN_COMMANDS[0])
    off = [p.name for p in load_plugins(BUILTIN_COMMANDS).plugins if p.builtin and not p.enabled]
    assert off == [BUILTIN_COMMANDS[0]]


def test_builtin_lowerings_use_the_same_hooks():
    host = load_plugins(BUILTIN_PLUGINS)
    registry = host.registry()
    for plugin in host.plugins:
        if plugin.builtin:
            assert any(table.owned_by(plugin.name) for table in registry.tables)


def test_registry_starts_empty():
    assert [len(table) for table in Registry().tables] == [0, 0, 0, 0]


def test_plugins_may_be_objects(install):
    install(
        "object",
        """
        import wsgraph

        class Plugin:
            @wsgraph.hookimpl
            def wsgraph_register_rewrites(self, register):
                register("mine", len)

        plugin = Plugin()
        """,
    )
    entry_points = next(install.site.glob("dist_object*/entry_points.txt"))
    entry_points.write_text("[wsgraph]\nobject = wsgraph_test_object:plugin\n")
    assert load_plugins(()).registry().rewrites.owned_by("object") == ("mine",)


def test_a_command_name_taken_twice_is_an_error(install):
    import typer

    from wsgraph.cli.commands import add_commands

    install(
        "commands",
        """
        import wsgraph

        @wsgraph.hookimpl
        def wsgraph_register_commands(cli):
            cli.command("compile")(lambda: None)
        """,
    )
    with pytest.raises(PluginError, match=r"'compile' is registered twice: by wsgraph\.cli\.builtin and by"):
        add_commands(typer.Typer(), load_plugins(BUILTIN_COMMANDS))
