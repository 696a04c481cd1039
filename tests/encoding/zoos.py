"""A small zoo of two architectures."""

from itertools import pairwise

import torch
from torch import nn

import wsgraph
from wsgraph.zoo import ModelRecord, ZooWriter


def make_zoo(path, counts=(5, 3), first=0):
    """Add ``counts[0]`` narrow and ``counts[1]`` deeper MLPs, numbered from ``first``."""
    with ZooWriter(path) as writer:
        for name, sizes, count in (("a", (3, 4, 2), counts[0]), ("b", (3, 5, 4, 2), counts[1])):
            layers = [nn.Linear(before, after) for before, after in pairwise(sizes)]
            module = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
            structure = wsgraph.compile(module, "1x3").structure
            for number in range(first, first + count):
                draw = torch.Generator().manual_seed(number)
                weights = {
                    key: torch.randn(value.shape, generator=draw)
                    for key, value in module.state_dict().items()
                }
                labels = {"test_accuracy": number / 10, "embedding": "a label of that name"}
                writer.add(ModelRecord(f"{name}{number}", "drawn", labels=labels), structure, weights)
    return path
