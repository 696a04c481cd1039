"""Small copies of published zoos, written in exactly their layouts (ZOO_FORMATS.md)."""

import csv
import gzip
import json
import sys
import types
from collections import OrderedDict

import numpy as np
import torch
from torch import nn


def seeded(seed, build):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def write_csv(path, rows, opener=open):
    with opener(path, "wt", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


SMALL_CNN_SHAPES = {
    "sequential/conv2d/kernel:0": (3, 3, 1, 16),
    "sequential/conv2d/bias:0": (16,),
    "sequential/conv2d_1/kernel:0": (3, 3, 16, 16),
    "sequential/conv2d_1/bias:0": (16,),
    "sequential/conv2d_2/kernel:0": (3, 3, 16, 16),
    "sequential/conv2d_2/bias:0": (16,),
    "sequential/dense/kernel:0": (16, 10),
    "sequential/dense/bias:0": (10,),
}


def small_cnn_zoo(root, models=12):
    """``models`` rows of 4,970 weights, steps 0 and 86 alternating, three rows a run."""
    root.mkdir(parents=True)
    weights = np.random.default_rng(0).normal(size=(models, 4970)).astype(np.float32)
    np.save(root / "weights.npy", weights)
    layout, at = [], 0
    for name, shape in SMALL_CNN_SHAPES.items():
        size = int(np.prod(shape))
        layout.append({"varname": name, "start_idx": at, "end_idx": at + size, "shape": str(shape)})
        at += size
    assert at == 4970
    write_csv(root / "layout.csv", layout)
    metrics = [
        {
            # The activation is not the second column.
            "config.b_init": "zeros",
            "config.dataset": "cifar10",
            "config.activation": ("relu", "tanh")[i // 2 % 2],
            "config.learning_rate": 10.0 ** -(i % 3 + 1),
            "modeldir": f"/cns/home/run{i // 3}",
            "step": 86 if i % 2 else 0,
            "test_accuracy": i / models,
            "train_loss": 2.0 - i / 10,
        }
        for i in range(models)
    ]
    write_csv(root / "metrics.csv.gz", metrics, gzip.open)
    return weights


class ParkConfig:
    """A configuration class that exists nowhere once the zoo has been written."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


def wild_park(root, depths=(2, 3)):
    """Two runs with two checkpoints each; configurations are objects of a class that is then gone."""
    module = types.ModuleType("cnn_park_gone")
    ParkConfig.__module__, ParkConfig.__qualname__ = "cnn_park_gone", "CNNConfig"
    module.CNNConfig = ParkConfig
    splits = {split: {"path": [], "score": [], "step": []} for split in ("train", "val", "test")}
    states = {}
    sys.modules["cnn_park_gone"] = module
    try:
        for run, depth in enumerate(depths):
            config = {
                "n_layers": depth,
                "n_classes": 10,
                "channels": [3, 8, 4, 6][: depth + 1],
                "kernel_size": [3, 5, 3][:depth],
                "stride": [1] * depth,
                "padding": [1, 2, 1][:depth],
                "residual": [-1, -1, 0][:depth],
                "activation": ["relu", "gelu", "tanh"][:depth],
            }
            for step in (5, 10):
                state = park_state(config, seed=10 * run + step)
                path = f"cifar10_zooV2/run_{run}/checkpoint_{step:06d}/checkpoint.pt"
                (root / path).parent.mkdir(parents=True)
                content = {
                    "model": state,
                    "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
                    "config": ParkConfig(**config) if run else config,
                }
                torch.save(content, root / path)
                entry = splits["test" if run else "train"]
                entry["path"].append(path)
                entry["score"].append(0.1 * step)
                entry["step"].append(step)
                states[path] = state
    finally:
        del sys.modules["cnn_park_gone"]
    (root / "cnn_park_splits.json").write_text(json.dumps(splits))
    return states


def park_state(config, seed):
    channels = config["channels"]
    layers = nn.ModuleList(
        seeded(seed + i, lambda i=i: nn.Conv2d(channels[i], channels[i + 1], config["kernel_size"][i]))
        for i in range(len(channels) - 1)
    )
    model = nn.Module()
    model.layers, model.fc = layers, seeded(seed, lambda: nn.Linear(channels[-1], 10))
    return model.state_dict()


def siren_state(names, out=1, seed=0):
    sizes = (2, 32, 32, out)
    state = OrderedDict()
    for i, name in enumerate(names):
        layer = seeded(seed + i, lambda i=i: nn.Linear(sizes[i], sizes[i + 1]))
        state[f"{name}.weight"], state[f"{name}.bias"] = layer.weight.detach(), layer.bias.detach()
    return state


def nfn_sirens(root):
    """Originals of images on both sides of both split points, and augmented copies of each."""
    for index, label in ((3, 0), (44_999, 1), (45_000, 0), (49_999, 1), (50_000, 1), (59_999, 0)):
        for folder in (f"randinit_smaller_{label}s", f"randinit_smaller_aug0_{label}s"):
            path = root / "siren_mnist_wts" / folder / f"net{index}.pth"
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(siren_state(("net.0.linear", "net.1.linear", "net.2"), seed=index), path)


def dws_mnist(root):
    for half in ("training", "testing"):
        for image in (7, 8):
            path = root / f"mnist_png_{half}_{image % 3}_{image}" / "checkpoints" / "model_final.pth"
            path.parent.mkdir(parents=True)
            torch.save(siren_state(("seq.0", "seq.1", "seq.2"), seed=image + 100 * (half == "testing")), path)


def dws_fashion(root):
    splits = {"train": ["fmnist_inrs/0.pth", "fmnist_inrs/1.pth"], "test": ["fmnist_inrs/2.pth"]}
    root.mkdir(parents=True)
    for i in range(3):
        state = siren_state(("seq.0", "seq.1", "seq.2"), seed=i)
        state["label"] = i + 4
        torch.save(state, root / f"{i}.pth")
    (root / "splits.json").write_text(json.dumps(splits))


def trial_small():
    layers = {0: nn.Conv2d(1, 8, 5), 3: nn.Conv2d(8, 6, 5), 6: nn.Conv2d(6, 4, 2), 9: nn.Linear(36, 20)}
    return layers | {11: nn.Linear(20, 10)}


def trial_large():
    layers = {0: nn.Conv2d(3, 16, 3), 4: nn.Conv2d(16, 32, 3), 8: nn.Conv2d(32, 15, 3)}
    return layers | {13: nn.Linear(60, 20), 16: nn.Linear(20, 10)}


def trial_state(layers):
    return OrderedDict(
        (f"module_list.{place}.{name}", value.detach())
        for place, layer in layers.items()
        for name, value in layer.named_parameters()
    )


def model_zoos(root, layers=trial_small):
    for trial in range(2):
        folder = root / f"NN_tune_trainable_{trial:05d}"
        folder.mkdir(parents=True)
        params = {"model::nlin": ("tanh", "relu")[trial], "optim::lr": 0.001, "seed": trial}
        (folder / "params.json").write_text(json.dumps(params))
        lines = [
            {"training_iteration": e, "test_acc": e / 100, "train_acc": e / 90, "config": params}
            for e in (0, 1, 50)
        ]
        (folder / "result.json").write_text("\n".join(map(json.dumps, lines)) + "\n")
        for epoch, name in ((0, "checkpoint_0"), (50, "checkpoint_000050")):
            (folder / name).mkdir()
            torch.save(seeded(trial + epoch, lambda: trial_state(layers())), folder / name / "checkpoints")


def transformer_state(seed, text=False):
    def build():
        state = OrderedDict()
        if text:
            state["embedding.embedding.weight"] = torch.randn(50, 32)
            state["embedding.pos_embedding"] = torch.randn(12, 32)
        else:
            state["embedding.pos_embedding"] = torch.randn(16, 32)
            state["embedding.conv1.weight"] = torch.randn(32, 1, 7, 7)
            state["embedding.conv1.bias"] = torch.randn(32)
        for i in range(2):
            for name in ("queries", "keys", "values", "out_projection"):
                state[f"encoder.{i}.attention.{name}.weight"] = torch.randn(32, 32)
            for name, shape in (("fc1", (64, 32)), ("fc2", (32, 64))):
                state[f"encoder.{i}.{name}.weight"] = torch.randn(*shape)
                state[f"encoder.{i}.{name}.bias"] = torch.randn(shape[0])
        for name, shape in (("fc1", (32, 32)), ("fc2", (4 if text else 10, 32))):
            state[f"classifier.{name}.weight"] = torch.randn(*shape)
            state[f"classifier.{name}.bias"] = torch.randn(shape[0])
        return state

    return seeded(seed, build)


def small_transformer_zoo(root, name="mnist", text=False):
    home = root / ("ag_news_transformer" if text else "mnist_transformer")
    (home / name).mkdir(parents=True)
    (home / "metadata").mkdir()
    rows = []
    for run in ("1a2b3c", "x9y8z7"):
        for epoch in (50, 75):
            file = f"{run}_{epoch}_{9000 + epoch}.pt"
            torch.save(transformer_state(len(rows), text), home / name / file)
            column = "test_accuracy" if text else "test_top1_accuracy"
            rows.append(
                {"lr": 0.1, "ckpt_epoch": epoch, "ckpt_file": f"{name}/{file}", column: 0.9 + epoch / 1e4}
            )
    write_csv(home / "metadata" / f"{name}.csv", rows)


def dng_vits(root, models=6):
    from wsgraph.frontends.libraries import import_library

    simple_vit = import_library("vit_pytorch").SimpleViT
    home = root / "cifar10_vit"
    (home / "vit_models").mkdir(parents=True)
    (home / "stat").mkdir()
    sizes = {
        "depth": 2,
        "dim": 16,
        "dim_head": 8,
        "heads": 2,
        "mlp_dim": 32,
        "num_classes": 10,
        "patch_size": 8,
        "image_size": 32,
    }
    networks = {}
    for i in range(models):
        networks[i] = seeded(i, lambda: simple_vit(**sizes))
        torch.save(networks[i].state_dict(), home / "vit_models" / f"model_{i}_{5 + i}.pth")
    ids = list(range(models))
    splits = {"train": ids[: models // 2], "val": ids[models // 2 : models - 1], "test": ids[models - 1 :]}
    (home / "stat" / "vit_hyperparameters.json").write_text(json.dumps(sizes))
    (home / "stat" / "results.json").write_text(json.dumps({str(i): 40.0 + i for i in ids}))
    (home / "stat" / "splits.json").write_text(json.dumps(splits))
    return networks
