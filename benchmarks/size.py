"""What a large model costs: Llama-7B from a folder of sharded weights, and compile time against depth.

``python benchmarks/size.py`` makes the folder from sparse files, so that it takes no space on the disk, and
compiles, inspects and binds in processes of their own. The last table shows seconds a layer for 10 to
1,000 layers of one architecture.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}
LAYERS_A_SHARD = 16
DEPTHS = (10, 30, 100, 300, 1000)
TIMED = """
import sys, time, warnings
warnings.simplefilter("ignore")
import wsgraph, torch
from wsgraph.cli.main import main
start, busy = time.perf_counter(), time.process_time()
{code}
print(time.perf_counter() - start, time.process_time() - busy, file=sys.stderr)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak.split()[1], file=sys.stderr)
"""


def shapes() -> dict[str, tuple[int, ...]]:
    """Llama-7B's tensors."""
    width, wide, words = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["vocab_size"]
    layer = {f"self_attn.{name}_proj": (width, width) for name in "qkvo"}
    layer |= {f"mlp.{name}_proj": (wide, width) for name in ("gate", "up")} | {"mlp.down_proj": (width, wide)}
    layer |= {"input_layernorm": (width,), "post_attention_layernorm": (width,)}
    out: dict[str, Any] = {"model.embed_tokens.weight": (words, width)}
    for k in range(int(str(CONFIG["num_hidden_layers"]))):
        out |= {f"model.layers.{k}.{name}.weight": shape for name, shape in layer.items()}
    return out | {"model.norm.weight": (width,), "lm_head.weight": (words, width)}


def write_folder(folder: Path) -> int:
    """A Hugging Face folder whose shards are sparse files of bfloat16 zeros; returns its elements."""
    (folder / "config.json").write_text(json.dumps(CONFIG))
    names = list(shapes())
    step = LAYERS_A_SHARD * 9
    pieces = [names[k : k + step] for k in range(0, len(names), step)]
    index: dict[str, str] = {}
    for k, piece in enumerate(pieces, 1):
        file = f"model-{k:05d}-of-{len(pieces):05d}.safetensors"
        write_shard(folder / file, {name: shapes()[name] for name in piece})
        index |= dict.fromkeys(piece, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return sum(elements(shape) for shape in shapes().values())


def elements(shape: tuple[int, ...]) -> int:
    """Number of elements of a shape."""
    total = 1
    for size in shape:
        total *= size
    return total


def write_shard(path: Path, tensors: dict[str, tuple[int, ...]]) -> None:
    """A safetensors file with a header and a hole."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in tensors.items():
        start, end = end, end + 2 * elements(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def measure(code: str) -> tuple[float, float, float]:
    """Seconds and seconds of processor time, without imports, and peak megabytes of running ``code``."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "plugins", ROOT / "encoders"))),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-c", TIMED.format(code=code)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    *_, times, peak = done.stderr.strip().splitlines()
    seconds, busy = map(float, times.split())
    return seconds, busy, int(peak) / 1024


def run_cli(*arguments: str) -> str:
    """Code that runs the command line in place."""
    return f"""
try:
    sys.argv = ["wsgraph", *{arguments!r}]
    main()
except SystemExit as done:
    assert not done.code, done.code
"""


def llama() -> None:
    """Llama-7B: compile, inspect, bind."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        total = write_folder(folder)
        on_disk = sum(file.stat().st_blocks * 512 for file in folder.iterdir())
        print(f"Llama-7B, {total:,} parameters in bfloat16, {on_disk / 1e6:.1f} MB on the disk")
        out = f"{folder}/llama.wsg"
        report("compile", run_cli("compile", name, "--no-weights", "-o", out))
        report("inspect", run_cli("inspect", out, "--json"))
        bind = f"""
from wsgraph.frontends.safetensors_files import read_safetensors
stream = wsgraph.load({out!r})
bound = stream.bind(read_safetensors(__import__("pathlib").Path({name!r}, "model.safetensors.index.json")))
"""
        report("bind", bind)
        print(f"the structure's file: {Path(out).stat().st_size / 1e6:.1f} MB")


def report(what: str, code: str) -> None:
    """One measured line."""
    seconds, busy, megabytes = measure(code)
    print(f"{what:10}{seconds:8.2f} s{busy:8.2f} s of a processor{megabytes:10.0f} MB", flush=True)


def depth() -> None:
    """Seconds a layer of a deep residual network, and what of it is torch.export's."""
    print(f"\n{'layers':>8}{'export':>10}{'the rest':>10}{'rest a layer':>14}")
    from unittest.mock import patch

    import wsgraph
    from wsgraph.frontends.torch_export import export_module

    wsgraph.compile(tower(1), "1x16x32")  # imports and caches
    for layers in DEPTHS:
        model = tower(layers)
        start = time.perf_counter()
        spent: list[float] = []

        def timed(*arguments: Any, spent: list[float] = spent) -> Any:
            begin = time.perf_counter()
            program = export_module(*arguments)
            spent.append(time.perf_counter() - begin)
            return program

        with patch("wsgraph.frontends.trace.export_module", timed):
            wsgraph.compile(model, "1x16x32")
        rest = time.perf_counter() - start - spent[0]
        print(f"{layers:8}{spent[0]:8.2f} s{rest:8.2f} s{rest / layers * 1e3:11.2f} ms", flush=True)


def tower(layers: int) -> Any:
    """Residual blocks of a norm, two linear layers and an activation."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))

        def forward(self, x: Any) -> Any:
            return x + self.layers(x)

    return nn.Sequential(*(Block() for _ in range(layers)))


if __name__ == "__main__":
    llama()
    depth()
