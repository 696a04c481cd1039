"""What encoding costs: spectral messages beside the naive reference, in one run on one machine.

    python benchmarks/encode.py                  # ratios, peak memory, ResNet-18: a few minutes, 4 GB
    python benchmarks/encode.py --scaling-only   # 10^4 to 10^8 edges; --plot FILE draws them

Times are the least of several repetitions, in turns of a tenth of a second each. Peak memory is that of a
process of its own, beyond what the process holds before it encodes.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from example_networks import Sine, chain
from torch import Tensor, nn

import wsgraph
from wsgraph.frontends.libraries import import_library
from wsgraph_encoders import Batch, DNGConfig, DNGEncoder, collate

ROOT = Path(__file__).parent.parent
MIB = 1 << 20
LEAST_SECONDS = 3.0
"""A few short rounds say what else the machine did meanwhile."""
TURN_SECONDS = 0.1
"""For so long one is repeated before the other's turn, as when many networks are encoded: a single call after
one of the reference's finds the caches full of what that left."""


def copies(model: Callable[[], nn.Module], shape: str, count: int) -> Batch:
    """A batch of freshly initialised networks of one architecture, the same in every run."""
    torch.manual_seed(0)
    stream = wsgraph.compile(model(), shape)
    return collate([stream.bind(model().state_dict()) for _ in range(count)])


def mlp_case() -> tuple[Batch, DNGConfig]:
    """The MLP of the issue: 256 Fourier features (128 frequencies), hidden 128, batch 4."""
    batch = copies(lambda: chain(64, 256, 256, 10), "1x64", 4)
    return batch, DNGConfig(frequencies=128, hidden=128)


def siren_case() -> tuple[Batch, DNGConfig]:
    """64 SIRENs at the paper's size: 128 frequencies, hidden 512."""
    batch = copies(lambda: chain(2, 32, 32, 1, activation=Sine), "1x2", 64)
    return batch, DNGConfig(frequencies=128, hidden=512)


def vit_case(count: int = 1) -> tuple[Batch, DNGConfig]:
    """SimpleViTs of App. F.2 (two blocks, CIFAR-10), with hidden dimension 128 as in App. G.2."""
    simple_vit = import_library("vit_pytorch.simple_vit").SimpleViT
    sizes = {
        "image_size": 32,
        "patch_size": 4,
        "num_classes": 10,
        "dim": 64,
        "depth": 2,
        "heads": 4,
        "mlp_dim": 128,
    }
    batch = copies(lambda: simple_vit(**sizes, dim_head=16), "1x3x32x32", count)
    return batch, DNGConfig(frequencies=128, hidden=128)


def vits_case() -> tuple[Batch, DNGConfig]:
    """Four of them."""
    return vit_case(4)


def resnet_case() -> tuple[Batch, DNGConfig]:
    """ResNet-18 of torchvision, 11 million edges."""
    model = import_library("torchvision.models").resnet18
    return copies(model, "1x3x224x224", 1), DNGConfig(frequencies=64, hidden=64)


CASES = {
    "mlp": mlp_case,
    "sirens": siren_case,
    "vit": vit_case,
    "4 vits": vits_case,
    "resnet18": resnet_case,
}
REQUIRED = {"mlp": 40, "sirens": 3, "vit": 5, "4 vits": 5, "mlp training step": 10}
PARAMETERS = ("per_step", "per_kind")


def encoder(batch: Batch, config: DNGConfig, message: str, parameters: str) -> DNGEncoder:
    """An encoder for a batch of one architecture, with the same parameters for either message function."""
    torch.manual_seed(0)
    config = replace(config, message=message)
    if parameters == "per_step":
        config = config.for_stream(batch.groups[0].streams[0])
    return DNGEncoder(config)


def seconds(
    functions: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Least time of each by a clock, in ``repeats`` turns, more where that is soon done."""
    least = dict.fromkeys(functions, float("inf"))
    begin, rounds = time.perf_counter(), 0
    while rounds < repeats or time.perf_counter() - begin < LEAST_SECONDS:
        rounds += 1
        for name, function in functions.items():
            turn = time.perf_counter()
            while True:
                start = clock()
                function()
                least[name] = min(least[name], clock() - start)
                if time.perf_counter() - turn > TURN_SECONDS:
                    break
    return least


def encode_once(model: DNGEncoder, batch: Batch) -> Tensor:
    """A forward pass without gradients."""
    with torch.no_grad():
        return model(batch).embedding


def train_once(model: DNGEncoder, batch: Batch, optimiser: torch.optim.Optimizer) -> None:
    """A whole training step."""
    optimiser.zero_grad()
    model(batch).embedding.square().mean().backward()
    optimiser.step()


def compare(
    name: str, parameters: str, repeats: int, clock: Callable[[], float], *, training: bool = False
) -> dict[str, float | str]:
    """Times of both message functions, and how far apart their embeddings are."""
    batch, config = CASES[name]()
    models = {m: encoder(batch, config, m, parameters) for m in ("reference", "spectral")}
    exact, fast = (encode_once(model, batch) for model in models.values())
    error = float((exact - fast).norm() / exact.norm())
    runs: dict[str, Callable[[], object]] = {}
    for message, model in models.items():
        if training:
            optimiser = torch.optim.Adam(model.parameters())
            runs[message] = lambda m=model, o=optimiser: train_once(m, batch, o)
        else:
            runs[message] = lambda m=model: encode_once(m, batch)
    times = seconds(runs, repeats, clock)
    label = f"{name} training step" if training else name
    ratio = times["reference"] / times["spectral"]
    return {"case": label, "parameters": parameters, **times, "ratio": ratio, "error": error}


def peak(name: str, message: str, parameters: str) -> dict[str, float]:
    """Measured in this process: what encoding adds to the peak of its memory, in MiB, and its seconds."""
    batch, config = CASES[name]()
    model = encoder(batch, config, message, parameters)
    encode_once(encoder(tiny := copies(lambda: chain(2, 2), "1x2", 1), config, message, parameters), tiny)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident("VmRSS")
    start = time.perf_counter()
    encode_once(model, batch)
    return {
        "seconds": time.perf_counter() - start,
        "added": resident("VmHWM") - before,
        "total": resident("VmHWM"),
    }


def resident(field: str) -> float:
    """A memory figure of this process, MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak_elsewhere(name: str, message: str, parameters: str) -> dict[str, float]:
    """:func:`peak` in a process of its own."""
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "plugins", ROOT / "encoders")))
    command = [sys.executable, __file__, "--peak", name, message, parameters]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


class Point(NamedTuple):
    """What a number of edges costs.

    Attributes:
        edges: their number.
        seconds: the time.
        ratio: to the time of half as many, timed in turns with these: a machine's speed changes in a minute.
    """

    edges: int
    seconds: float
    ratio: float | None


def scaling(largest: int, parameters: str, clock: Callable[[], float]) -> list[Point]:
    """MLPs n-n-n, from fewer than 10^4 up to ``largest`` edges, doubling; hidden 64."""
    points = []
    half: dict[str, Callable[[], object]] = {}
    doublings = max(0, math.ceil(math.log2(largest / 10_000)))
    for edges in (largest / 2**k for k in range(doublings, -1, -1)):
        width = round((edges / 2) ** 0.5)
        batch = copies(lambda width=width: chain(width, width, width), f"1x{width}", 1)
        model = encoder(batch, DNGConfig(), "spectral", parameters)

        def whole(model: DNGEncoder = model, batch: Batch = batch) -> Tensor:
            return encode_once(model, batch)

        whole()
        times = seconds({"whole": whole, **half}, 7 if edges < 10**7 else 3, clock)
        ratio = times["whole"] / times["half"] if half else None
        points.append(Point(2 * width * width, times["whole"], ratio))
        half = {"half": whole}
    return points


def plot(points: list[Point], path: str) -> None:
    """Seconds over edges, both logarithmic."""
    pyplot = import_library("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(5, 4))
    edges, last = [point.edges for point in points], points[-1]
    axes.loglog(edges, [point.seconds for point in points], marker="o", label="measured")
    proportion = [last.seconds * count / last.edges for count in edges]
    axes.loglog(edges, proportion, "--", label="in proportion to the edges")
    axes.legend()
    axes.set(xlabel="edges", ylabel="seconds", title="Spectral DNG-Encoder, forward, CPU")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def report(rows: list[dict[str, float | str]]) -> None:
    """The ratios as a table."""
    columns = "case", "parameters", "reference", "spectral", "ratio", "needed", "error"
    print("{:20s} {:10s} {:>11s} {:>10s} {:>8s} {:>7s}  {}".format(*columns))
    for row in rows:
        needed = REQUIRED.get(str(row["case"]), "")
        print(
            f"{row['case']:20s} {row['parameters']:10s} {row['reference'] * 1e3:9.1f}ms "
            f"{row['spectral'] * 1e3:8.1f}ms {row['ratio']:7.1f}x {needed!s:>6s}x  {row['error']:.1e}"
        )


def ratios(parameters: str, repeats: int, clock: Callable[[], float]) -> None:
    """Spectral beside reference, for one kind of parameters."""
    rows = [compare(name, parameters, repeats, clock) for name in ("mlp", "sirens", "vit", "4 vits")]
    report([*rows, compare("mlp", parameters, repeats, clock, training=True)])


def memory(parameters: str) -> None:
    """Peak memory on the MLP, and ResNet-18."""
    added = {
        message: peak_elsewhere("mlp", message, parameters)["added"] for message in ("reference", "spectral")
    }
    print(
        f"mlp peak memory: reference {added['reference']:.0f} MiB, spectral {added['spectral']:.0f} MiB, "
        f"{added['reference'] / added['spectral']:.1f} times less (at least 10 needed)"
    )
    found = peak_elsewhere("resnet18", "spectral", parameters)
    print(f"resnet18: {found['seconds']:.1f} s (60 allowed), {found['total']:.0f} MiB in all (2048 allowed)")


def growth(largest: int, clock: Callable[[], float], path: str | None) -> None:
    """Time over edges."""
    points = scaling(largest, "per_step", clock)
    for edges, duration, ratio in points:
        beside = "" if ratio is None else f", {ratio:.2f} times the half"
        print(f"{edges:>12,} edges {duration:9.4f} s{beside}")
    print(f"peak memory of this process {resident('VmHWM'):.0f} MiB")
    if path:
        plot(points, path)


def main() -> None:
    """Parse arguments and print."""
    parser = argparse.ArgumentParser(description="Speed and memory of the encoders.")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves torch's choice")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--cpu-time", action="store_true", help="processor time instead of wall time, for a busy machine"
    )
    parser.add_argument("--ratios-only", action="store_true", help="neither memory nor ResNet-18")
    parser.add_argument("--scaling", action="store_true", help="time 10^4 to 10^8 edges too")
    parser.add_argument("--scaling-only", action="store_true", help="nothing but that")
    parser.add_argument("--largest", type=int, default=10**8)
    parser.add_argument("--plot", metavar="FILE", help="draw time over edges")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.peak:
        print(json.dumps(peak(*options.peak)))
        return
    clock = time.process_time if options.cpu_time else time.perf_counter
    kind = "processor" if options.cpu_time else "wall"
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {kind} time")
    for parameters in () if options.scaling_only else PARAMETERS:
        ratios(parameters, options.repeats, clock)
        if not options.ratios_only:
            memory(parameters)
    if options.scaling or options.scaling_only:
        growth(options.largest, clock, options.plot)


if __name__ == "__main__":
    main()
