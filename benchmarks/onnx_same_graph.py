"""Is a network's graph the same, compiled directly and from what torch's exporters write?

    python benchmarks/onnx_same_graph.py [--json] [lstm vit_b_16 ...]

Real sizes, random weights. Each network is exported four times: by the newer exporter (``dynamo=True``) and
the older one, with their default settings and without their own optimisations. ``same`` means equal blocks,
wiring and timestamps, and features that are equal element for element; ``folded`` means the same as the
network whose BatchNorm was folded into its convolutions by torch, to 1e-4. Needs torchvision, transformers
and onnxscript; takes about eight minutes on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

import wsgraph
from wsgraph.frontends.libraries import import_library
from wsgraph.testing.same_graph import difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

EXPORTERS: dict[str, dict[str, Any]] = {
    "new": {"dynamo": True},
    "new, unoptimised": {"dynamo": True, "optimize": False},
    "old": {"dynamo": False},
    "old, unoptimised": {
        "dynamo": False,
        "do_constant_folding": False,
        "training": torch.onnx.TrainingMode.PRESERVE,
    },
}


class Recurrent(nn.Module):
    """Two recurrent layers and a linear one on the last step."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layers = getattr(nn, kind)(32, 64, 2, batch_first=True)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [batch, steps, 32] to [batch, 10]."""
        return self.head(self.layers(x)[0][:, -1])


class Unet(nn.Module):
    """Ronneberger's U-Net with three levels."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        sizes = [width, 2 * width, 4 * width]
        self.down = nn.ModuleList(_double(i, o) for i, o in zip([3, *sizes], sizes, strict=False))
        self.middle = _double(sizes[-1], 2 * sizes[-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * n, n, 2, 2) for n in sizes[::-1])
        self.join = nn.ModuleList(_double(2 * n, n) for n in sizes[::-1])
        self.last = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [batch, 3, height, width] to two maps of the same size."""
        skips = []
        for down in self.down:
            skips.append(down(x))
            x = nn.functional.max_pool2d(skips[-1], 2)
        x = self.middle(x)
        for up, join, skip in zip(self.up, self.join, reversed(skips), strict=True):
            x = join(torch.cat([skip, up(x)], 1))
        return self.last(x)


def _double(n_in: int, n_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n in (n_in, n_out):
        layers += [nn.Conv2d(n, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()]
    return nn.Sequential(*layers)


class First(nn.Module):
    """A model of transformers as one of a tensor: the older exporter passes arguments by position."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        """``ids`` [batch, tokens] to the model's first result."""
        return self.model(ids)[0]


def _vision(name: str) -> tuple[nn.Module, Tensor]:
    return getattr(import_library("torchvision").models, name)(), torch.randn(1, 3, 224, 224)


def _bert() -> tuple[nn.Module, Tensor]:
    """BERT-tiny (2 layers, 128 wide)."""
    library = import_library("transformers")
    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512}
    return First(library.BertModel(library.BertConfig(**sizes))), torch.ones(1, 64, dtype=torch.int64)


def _gpt2(tokens: int) -> tuple[nn.Module, Tensor]:
    """GPT-2 with 2 layers, 128 wide and 64 positions, of which some are used."""
    library = import_library("transformers")
    config = library.GPT2Config(
        vocab_size=50257, n_embd=128, n_layer=2, n_head=2, n_positions=64, use_cache=False
    )
    return First(library.GPT2LMHeadModel(config)), torch.ones(1, tokens, dtype=torch.int64)


NETWORKS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "lstm": lambda: (Recurrent("LSTM"), torch.randn(1, 20, 32)),
    "gru": lambda: (Recurrent("GRU"), torch.randn(1, 20, 32)),
    "rnn": lambda: (Recurrent("RNN"), torch.randn(1, 20, 32)),
    "unet": lambda: (Unet(), torch.randn(1, 3, 64, 64)),
    "resnet18": lambda: _vision("resnet18"),
    "mobilenet_v3_small": lambda: _vision("mobilenet_v3_small"),
    "swin_t": lambda: _vision("swin_t"),
    "vit_b_16": lambda: _vision("vit_b_16"),
    "bert-tiny": _bert,
    "gpt2-tiny-64": lambda: _gpt2(64),
    "gpt2-tiny-16": lambda: _gpt2(16),
}


def compare(name: str, folder: Path) -> dict[str, str]:
    """How a network's four exports compare with it."""
    torch.manual_seed(0)
    model, example = NETWORKS[name]()
    for key, tensor in model.eval().state_dict().items():
        if tensor.is_floating_point() and tensor.dim() < 2:  # normalisations that are no identities
            tensor.copy_(torch.rand_like(tensor) + (1.0 if "var" in key else 0.1))
    direct = wsgraph.compile(model, example)
    folds = any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    folded = wsgraph.compile(fuse(model), example) if folds else None
    row = {"network": name}
    for exporter, settings in EXPORTERS.items():
        path = folder / f"{exporter}.onnx"
        try:
            _export(model, example, path, settings)
        except Exception as error:  # noqa: BLE001  exporters fail in every way there is; the row says which
            row[exporter] = f"not exported ({type(error).__name__})"
            continue
        found = wsgraph.compile(path)
        wrong = difference(direct, found)
        if wrong and folded is not None and not difference(folded, found, 1e-4, 1e-5):
            wrong = "folded"
        row[exporter] = wrong or "same"
    return row


def _export(model: nn.Module, example: Tensor, path: Path, settings: dict[str, Any]) -> None:
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters deprecate themselves, and parts of torch
        torch.onnx.export(model, (example,), str(path), **settings)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description="Compare exported networks' graphs with the networks' own.")
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help="which; all if left out")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    rows = []
    for name in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(compare(name, Path(folder)))
        if not options.json:
            print("; ".join(f"{key}: {value[:200]}" for key, value in rows[-1].items()), flush=True)
    if options.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
