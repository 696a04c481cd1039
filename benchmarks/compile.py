"""What compiling costs: time beside torch.export, memory, binding, and the answer to ``--help``.

Run it with ``python benchmarks/compile.py``; it prints tables, takes a few minutes and 3 GB of memory.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import wsgraph
from wsgraph.frontends.libraries import import_library
from wsgraph.frontends.skeleton import skeleton

ROOT = Path(__file__).parent.parent
NETWORKS = ("resnet50", "vit_b_16", "swin_t")
INPUT = "1x3x224x224"
REPEATS = 5
STARTS = 10
MIB = 1 << 20


def network(name: str) -> nn.Module:
    """One of torchvision's networks, with random weights."""
    with skeleton():
        model: nn.Module = import_library("torchvision.models").get_model(name)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.01, 1)
    return model.eval()


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compile_seconds(model: nn.Module) -> tuple[float, float]:
    """Time of torch.export by itself, and what one compilation takes beyond that."""
    example = torch.zeros([int(n) for n in INPUT.split("x")])
    with torch.no_grad():
        export = seconds(lambda: torch.export.export(model, (example,), strict=False))
    return export, seconds(lambda: wsgraph.compile(model, INPUT)) - export


def bind_seconds(model: nn.Module) -> float:
    """Time of putting a second checkpoint under a compiled structure."""
    stream = wsgraph.compile(model, INPUT)
    other = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    stream.bind(other)
    return statistics.median(seconds(lambda: stream.bind(other)) for _ in range(REPEATS))


def python(*arguments: str) -> str:
    """Run Python in a process of its own; returns what it says on standard error."""
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "plugins", ROOT / "encoders")))
    environment = os.environ | {"PYTHONPATH": paths}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr


def peak_memory(code: str, *arguments: str) -> int:
    """Most memory, in bytes, that a process has resident while it runs ``code``.

    It is read from the process itself: ``ru_maxrss`` of a child starts at what its parent had.
    """
    report = "next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))"
    atexit = f"import atexit, sys; atexit.register(lambda: sys.stderr.write({report}))"
    *_, last = python("-c", f"{atexit}\n{code}", *arguments).splitlines()
    return int(last.split()[1]) * 1024


def time_table() -> None:
    """Compilation against torch.export, and bind against compilation; medians in one warm process."""
    print(f"{'':12}{'export':>10}{'beyond':>10}{'ratio':>8}{'bind':>12}{'bind is':>16}")
    for name in NETWORKS:
        model = network(name)
        compile_seconds(model)
        runs = [compile_seconds(model) for _ in range(REPEATS)]
        export, rest = (statistics.median(column) for column in zip(*runs, strict=True))
        bind = bind_seconds(model)
        faster = f"{(export + rest) / bind:,.0f}x faster"
        print(f"{name:12}{export:8.2f} s{rest:8.2f} s{rest / export:8.0%}{bind * 1e3:9.2f} ms{faster:>16}")


def memory_table() -> None:
    """Peak memory of ``wsgraph compile`` on a state dict, beyond its file and beyond the libraries."""
    libraries = "from wsgraph.frontends.libraries import import_library; import_library('torchvision.models')"
    imports = peak_memory(libraries)
    print(f"\n{'':12}{'peak':>10}{'imports':>10}{'file':>10}{'beyond':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            file = Path(folder, f"{name}.pth")
            torch.save(network(name).state_dict(), file)
            options = ("--arch", f"torchvision.models:{name}", "--input", INPUT, "-o", f"{file}.wsg")
            command = "from wsgraph.cli.main import main; main()"
            peak = peak_memory(command, "compile", str(file), *options)
            size = file.stat().st_size
            columns = (peak, imports, size, peak - imports - size)
            print(f"{name:12}" + "".join(f"{column / MIB:6.0f} MiB" for column in columns))


def help_time() -> None:
    """How long ``wsgraph --help`` takes, the interpreter's start included."""
    starts = [seconds(lambda: python("-m", "wsgraph", "--help")) for _ in range(STARTS)]
    print(f"\nwsgraph --help: {statistics.median(starts):.2f} s (median of {STARTS})")


if __name__ == "__main__":
    time_table()
    memory_table()
    help_time()
