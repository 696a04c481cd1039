"""The CUDA encoder beside the naive one, on the same GPU in the same run, and beside the GPU's own limits.

    PYTHONPATH=.:plugins:encoders python benchmarks/gpu.py             # everything, some minutes
    PYTHONPATH=.:plugins:encoders python benchmarks/gpu.py kernel vit  # some sections
    PYTHONPATH=.:plugins:encoders python benchmarks/gpu.py --json FILE  # also writes all figures

Sections: check, kernel, mlp, siren, vit, mixed, large, llama, training. Times are medians of CUDA events,
after a warm-up. Needs a GPU and Triton; `large` and `llama` need torchvision and transformers.
"""

import argparse
import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import example_networks as networks
import torch
from gpu_measure import Limits, error_of, kernel_figures, milliseconds, peak_of, precise
from torch import Tensor

from wsgraph import EventStream
from wsgraph_encoders import DNGConfig, DNGEncoder, collate
from wsgraph_encoders.triton.available import fused_on

PRECISIONS = ("tf32x3", "tf32", "bf16")
PAPER = DNGConfig(frequencies=128, hidden=128)
Figures = dict[str, float | str]
limits = cache(Limits.measured)


def encoder(config: DNGConfig, message: str, stream: EventStream | None = None) -> DNGEncoder:
    """An encoder on the GPU, with the same parameters for either message; ``per_step`` for a stream given."""
    torch.manual_seed(0)
    config = replace(config, message=message)
    return DNGEncoder(config if stream is None else config.for_stream(stream)).cuda()


def forward(model: DNGEncoder, streams: list[EventStream]) -> Callable[[], Tensor]:
    """A forward pass without gradients."""
    batch = collate(streams)

    def run() -> Tensor:
        with torch.no_grad():
            return model(batch, memories=False).embedding

    return run


def compared(name: str, streams: list[EventStream], config: DNGConfig, *, one: bool = True) -> Figures:
    """Both encoders' times, memory and distance, in all precisions."""
    only = streams[0] if one else None
    naive, fused = (forward(encoder(config, m, only), streams) for m in ("reference", "spectral"))
    edges = sum(stream.num_edges for stream in streams)
    row: Figures = {"case": name, "networks": len(streams), "edges": edges}
    try:
        expected = naive()
        row["naive MiB"] = peak_of(naive)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        expected = None
        row["naive"] = "does not fit"
    for precision in PRECISIONS:
        with precise(precision):  # both encoders: the naive one's products too
            row[f"{precision} ms"] = time = milliseconds(fused)
            row[f"{precision} MiB"] = peak_of(fused)
            row[f"{precision} networks/s"] = 1e3 * len(streams) / time
            if expected is not None:
                row[f"{precision} naive ms"] = naive_time = milliseconds(naive)
                row[f"{precision} times naive"] = naive_time / time
                row[f"{precision} distance"] = error_of(fused(), expected)
    return row


def check() -> list[Figures]:
    """How far each precision is from the naive formula in float64: sums and gradients."""
    from gpu_measure import accuracy

    return accuracy()


def kernel() -> list[Figures]:
    """The single-edge kernel over sizes, beside the GPU's own matrix product and copy."""
    shapes = [(4096, 4096, 64), (8192, 8192, 64), (8192, 8192, 128), (16384, 16384, 64)]
    return [kernel_figures(*shape, precision, limits()) for shape in shapes for precision in PRECISIONS]


def mlp() -> list[Figures]:
    """The MLP 64-256-256-10."""
    streams = networks.copies(lambda: networks.chain(64, 256, 256, 10), "1x64", 64)
    return [compared(f"mlp x{n}", streams[:n], PAPER) for n in (4, 64)]


def siren() -> list[Figures]:
    """SIRENs of images, hidden 512."""
    streams = networks.copies(lambda: networks.chain(2, 32, 32, 1, activation=networks.Sine), "1x2", 1024)
    return [compared(f"siren x{n}", streams[:n], replace(PAPER, hidden=512)) for n in (64, 1024)]


def vit() -> list[Figures]:
    """App. F.2's ViT, alone and 256 of them; alone also as a CUDA graph."""
    from wsgraph_encoders.triton.graphed import GraphedEncoder

    streams = networks.copies(networks.SmallViT, "1x3x32x32", 256)
    state = streams[1].state_dict()
    rows = [compared(f"vit x{n}", streams[:n], PAPER) for n in (1, 256)]
    for precision in PRECISIONS:
        with precise(precision):
            graphed = GraphedEncoder(encoder(PAPER, "spectral", streams[0]), streams[0])
            rows[0][f"{precision} graph ms"] = milliseconds(graphed)
            rows[0][f"{precision} graph with new weights ms"] = milliseconds(lambda g=graphed: g(state))
    rows[0]["paper ms"], rows[0]["paper MiB"] = 4.38, 25.36
    return rows


def mixed() -> list[Figures]:
    """A batch of unlike networks."""
    return [compared("mixed zoo", networks.mixed(48), DNGConfig(), one=False)]


def large() -> list[Figures]:
    """ResNet-50 and ViT-B/16."""
    found = {name: networks.torchvision_network(name) for name in ("resnet50", "vit_b_16")}
    return [compared(name, streams, DNGConfig(), one=False) for name, streams in found.items()]


def llama() -> list[Figures]:
    """Seven billion parameters in bfloat16; there is no naive encoder of that size."""
    stream = networks.llama()
    row: Figures = {"case": "llama-7b", "edges": stream.num_edges}
    run = forward(encoder(DNGConfig(), "spectral"), [stream])
    for precision in PRECISIONS:
        with precise(precision):
            row[f"{precision} ms"] = time = milliseconds(run, repeats=5)
            row[f"{precision} MiB beyond the weights"] = peak_of(run)
            row[f"{precision} of copy rate"] = 2 * stream.num_edges / time * 1e3 / limits().copy
    return [row]


def training() -> list[Figures]:
    """A whole training step on 64 MLPs."""
    streams = networks.copies(lambda: networks.chain(64, 256, 256, 10), "1x64", 64)
    row: Figures = {"case": "training"}
    for precision in PRECISIONS:
        with precise(precision):
            naive, fused = (milliseconds(training_step(m, streams)) for m in ("reference", "spectral"))
        row |= {f"{precision} naive ms": naive, f"{precision} ms": fused}
        row[f"{precision} times naive"] = naive / fused
    return [row]


def training_step(message: str, streams: list[EventStream]) -> Callable[[], None]:
    """Forward, backward and an optimiser's step."""
    model, batch = encoder(PAPER, message, streams[0]), collate(streams)
    optimiser = torch.optim.Adam(model.parameters())

    def step() -> None:
        optimiser.zero_grad()
        model(batch, memories=False).embedding.square().mean().backward()
        optimiser.step()

    return step


SECTIONS = {f.__name__: f for f in (check, kernel, mlp, siren, vit, mixed, large, llama, training)}


def run(names: list[str]) -> tuple[list[Figures], bool]:
    """All figures of the sections, and whether all of them came to an end."""
    matmul, copy = limits().matmul / 1e12, limits().copy / 1e12
    rows: list[Figures] = [{"case": "limits", "matmul TFLOP/s": matmul, "copy TB/s": copy}]
    complete = True
    report(rows)
    for name in names:
        try:
            found = SECTIONS[name]()
        except Exception:  # noqa: BLE001  a machine that is lent by the minute: the other sections go on
            traceback.print_exc()
            complete = False
            continue
        report(found)
        rows += found
    return rows, complete


def report(rows: list[Figures]) -> None:
    """Figures by name, a line a case."""
    for row in rows:
        print("; ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
    sys.stdout.flush()


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description="The CUDA encoder's speed, memory and accuracy.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"no such section: {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    if not torch.cuda.is_available() or not fused_on(torch.empty(0, device="cuda")):
        print("this benchmark needs a CUDA GPU and Triton; here is no GPU that torch sees", file=sys.stderr)
        sys.exit(1)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    rows, complete = run(options.sections or list(SECTIONS))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    main()
