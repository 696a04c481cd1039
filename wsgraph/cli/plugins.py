"""``wsgraph plugins``: which plugins there are, and how to start one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from wsgraph.cli.output import Output
from wsgraph.cli.skeleton import is_plugin_name, write_skeleton

__all__ = ["plugins_app"]

plugins_app = typer.Typer(help="List plugins, or start a new one.", no_args_is_help=True)


def _checked_name(name: str) -> str:
    if not is_plugin_name(name):
        raise typer.BadParameter(f"{name!r} is no plugin name: lower-case letters, digits and hyphens")
    return name


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@plugins_app.command("list")
def list_command(*, as_json: AsJson = False) -> None:
    """List the plugins found, their versions and what each registers."""
    out = Output(as_json=as_json)
    plugins = _described()
    out.table(
        ("plugin", "distribution", "version", "registers"),
        [(p["name"], p["distribution"], p["version"], _registered(p)) for p in plugins],
    )
    out.result({"plugins": plugins})


@plugins_app.command("new")
def new_command(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A short name, such as kan or my-ops.", callback=_checked_name),
    ],
    directory: Annotated[Path, typer.Option("--directory", help="Where its folder is made.")] = Path(),
    *,
    as_json: AsJson = False,
) -> None:
    """Write a plugin of your own: a distribution with one operator, its lowering and a test."""
    out = Output(as_json=as_json)
    root, files = write_skeleton(name, directory)
    for file in files:
        out.line(f"wrote {root / file}")
    out.line(f"try it:  pip install -e {root} && pytest {root}")
    out.result({"directory": str(root), "files": [str(file) for file in files]})


def _described() -> list[dict[str, Any]]:
    from wsgraph.cli.commands import commands_of
    from wsgraph.lowering.plugins import BUILTIN_COMMANDS, BUILTIN_PLUGINS, load_plugins

    host = load_plugins((*BUILTIN_PLUGINS, *BUILTIN_COMMANDS))
    registry = host.registry()
    return [
        {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "builtin": plugin.builtin,
            "enabled": plugin.enabled,
            "registers": {
                **{f"{table.family}s": table.owned_by(plugin.name) for table in registry.tables},
                "commands": commands_of(host, plugin)[1],
            },
        }
        for plugin in host.plugins
    ]


def _registered(plugin: dict[str, Any]) -> str:
    if not plugin["enabled"]:
        return "(switched off)"
    kinds = ((kind, keys) for kind, keys in plugin["registers"].items() if keys)
    return "; ".join(f"{kind}: {', '.join(keys)}" for kind, keys in kinds)
