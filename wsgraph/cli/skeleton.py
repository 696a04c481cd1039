"""Writing the skeleton of a plugin distribution."""

from __future__ import annotations

import re
from importlib.resources import as_file, files
from pathlib import Path
from string import Template

import wsgraph
from wsgraph.errors import PluginError

__all__ = ["is_plugin_name", "write_skeleton"]

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_SUFFIX = ".in"
_PACKAGE = "package"


def is_plugin_name(name: str) -> bool:
    """Whether a name can be part of a distribution's and a package's name."""
    return _NAME.fullmatch(name) is not None


def write_skeleton(name: str, directory: Path) -> tuple[Path, list[Path]]:
    """Write a working plugin distribution.

    Args:
        name: a plugin name, see :func:`is_plugin_name`.
        directory: an existing directory; the distribution's own folder is made in it.

    Returns:
        The distribution's folder, and the files written, relative to it.

    Raises:
        PluginError: the folder exists already or cannot be written.
    """
    distribution = f"wsgraph-plugin-{name.replace('_', '-')}"
    package = distribution.replace("-", "_")
    root = directory / distribution
    values = {
        "name": name,
        "distribution": distribution,
        "package": package,
        "wsgraph": wsgraph.__version__,
    }
    try:
        root.mkdir()
        with as_file(files("wsgraph.cli") / "plugin_template") as templates:
            return root, [
                _write(root, template.relative_to(templates), template.read_text("utf-8"), values)
                for template in sorted(templates.rglob(f"*{_SUFFIX}"))
            ]
    except FileExistsError as error:
        raise PluginError(f"{root} exists already", remedy="choose another name or --directory") from error
    except OSError as error:
        raise PluginError(f"cannot write {root}: {error.strerror}") from error


def _write(root: Path, template: Path, text: str, values: dict[str, str]) -> Path:
    parts = [values["package"] if part == _PACKAGE else part for part in template.parts]
    path = Path(*parts).with_suffix("")
    target = root / path
    target.parent.mkdir(exist_ok=True)
    target.write_text(Template(text).substitute(values), encoding="utf-8")
    return path
