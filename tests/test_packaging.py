"""What is importable, how fast, and that the example plugin installs and works."""

import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import wsgraph
from wsgraph.cli.skeleton import write_skeleton

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "wsgraph-plugin-example"
PUBLIC = [
    "CompileOptions",
    "EventStream",
    "WsgraphError",
    "__version__",
    "compile",
    "hookimpl",
    "load",
    "permute",
    "symmetries",
    "verify",
]


def python(*arguments, **variables):
    """Run Python where the checkout is on the path only through the variables given."""
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "plugins", ROOT / "encoders")))
    environment = {**os.environ, "PYTHONPATH": paths, **variables}
    command = [sys.executable, *arguments]
    elsewhere = tempfile.gettempdir()
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=elsewhere, check=False
    )


def test_public_names_are_these():
    assert sorted(wsgraph.__all__) == PUBLIC
    assert dir(wsgraph) == PUBLIC
    for name in PUBLIC:
        assert getattr(wsgraph, name) is not None


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'wsgraph' has no attribute 'complie'"):
        _ = wsgraph.complie


@pytest.mark.parametrize(
    "statement", ["import wsgraph; wsgraph.hookimpl; wsgraph.CompileOptions()", "import wsgraph.cli.main"]
)
def test_light_imports_leave_torch_alone(statement):
    done = python("-c", f"{statement}; import sys; assert 'torch' not in sys.modules, 'torch'")
    assert done.returncode == 0, done.stderr


def test_help_loads_nothing_heavy():
    """What keeps `wsgraph --help` fast; benchmarks/compile.py measures how fast."""
    program = "from wsgraph.cli.main import main\ntry:\n main()\nfinally:\n import sys\n "
    heavy = ("torch", "numpy", "polars", "networkx", "onnx", "matplotlib", "lightning", "sklearn", "scipy")
    done = python("-c", f"{program}print(*sorted(sys.modules), file=sys.stderr)", "--help")
    assert done.returncode == 0, done.stderr
    assert "compile" in done.stdout
    assert not set(heavy) & set(done.stderr.split())


ENDING = """
import atexit, threading
from wsgraph.cli import main as cli
real = cli.main
def main():
    atexit.register(print, "handlers have run")
    {before}
    real()
cli.main = main
cli.program()
"""
THREAD = "threading.Thread(target=lambda: (threading.Event().wait(0.5), print('waited for'))).start()"


@pytest.mark.parametrize(
    ("before", "arguments", "expected"),
    [
        ("pass", ("--version",), (0, [f"wsgraph {wsgraph.__version__}", "handlers have run"])),
        ("pass", ("inspect", "nowhere.wsg"), (1, ["handlers have run"])),
        (THREAD, ("inspect", "nowhere.wsg"), (1, ["waited for", "handlers have run"])),
    ],
)
def test_the_program_leaves_at_once_but_loses_nothing(before, arguments, expected):
    done = python("-c", ENDING.format(before=before), *arguments)
    assert (done.returncode, done.stdout.splitlines()) == expected


@pytest.fixture(scope="module")
def wheel_target(tmp_path_factory):
    """wsgraph and the example plugin, installed from wheels into a folder of their own."""
    target = tmp_path_factory.mktemp("site")
    install = [
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        target,
    ]
    done = python(*install, ROOT, EXAMPLE)
    assert done.returncode == 0, done.stderr
    return target


def test_wheel_holds_our_packages_and_nothing_generic(wheel_target):
    installed = {path.name for path in wheel_target.iterdir() if path.is_dir()} - {"bin"}
    packages = {name for name in installed if not name.endswith(".dist-info")}
    assert packages == {"wsgraph", "wsgraph_plugins", "wsgraph_encoders", "wsgraph_plugin_example"}
    assert (wheel_target / "wsgraph" / "py.typed").exists()


@pytest.mark.parametrize("name", ["plugins", "encoders", "tests", "examples"])
def test_container_folders_cannot_be_imported(wheel_target, name):
    # -I drops PYTHONPATH and the current directory: what is left is what an installation sees.
    code = f"import sys; sys.path.insert(0, {str(wheel_target)!r}); import wsgraph; import {name}"
    done = python("-I", "-c", code)
    assert done.returncode == 1
    assert f"No module named '{name}'" in done.stderr


def test_example_is_what_plugins_new_writes(tmp_path):
    root, files = write_skeleton("example", tmp_path)
    _, differing, missing = filecmp.cmpfiles(root, EXAMPLE, files, shallow=False)
    assert (differing, missing) == ([], []), "run: wsgraph plugins new example --directory examples"


def test_installed_example_plugin_is_listed(wheel_target):
    done = python("-m", "wsgraph", "plugins", "list", PYTHONPATH=str(wheel_target))
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("example "))
    assert "wsgraph-plugin-example" in line
    assert "lowerings: wsgraph_plugin_example.scaled_linear" in line


def test_installed_example_plugin_passes_its_own_test(wheel_target, tmp_path):
    # In a folder of its own, or pytest would find this repository's settings and its paths above it.
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path / "tests"]
    done = python(*arguments, PYTHONPATH=str(wheel_target))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
