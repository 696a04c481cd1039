"""Merge two independently trained networks: align their neurons over the derived symmetries, then average.

    python examples/merge_two_resnets.py

Two small residual networks learn scikit-learn's handwritten digits from different seeds. Averaging their
weights as they are gives a network that knows little; the hidden neurons stand in another order in each.
wsgraph derives which neurons may be permuted together, weight matching (Ainsworth et al. 2023,
arXiv:2209.04836, algorithm 1) finds the permutation that brings the second network closest to the first,
and the loss barrier between the two falls.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

import wsgraph

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsgraph.symmetry import Member, Symmetry

State = dict[str, Tensor]


class Block(nn.Module):
    """Two convolutions around which the input is added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(1, width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(1, width)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, width, height, width]`` to the same shape."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(y)))


def resnet(width: int, blocks: int) -> nn.Module:
    """A residual network for 8x8 images in ten classes."""
    stem = [nn.Conv2d(1, width, 3, stride=2, padding=1), nn.GroupNorm(1, width), nn.ReLU()]
    body = [Block(width) for _ in range(blocks)]
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images ``[n, 1, 8, 8]`` and classes ``[n]``: 1,400 to learn from, 397 to test."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(data.images, dtype=torch.float32)[order].unsqueeze(1) / 16
    classes = torch.tensor(data.target)[order]
    return images[:1400], classes[:1400], images[1400:], classes[1400:]


def train(model: nn.Module, images: Tensor, classes: Tensor, epochs: int, seed: int) -> None:
    """Adam with a falling learning rate."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=generator).split(50):
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), classes[batch]).backward()
            optimizer.step()
        schedule.step()


def rows(tensor: Tensor, member: Member) -> Tensor:
    """What belongs to each unit of a group, ``[size, n]``."""
    picked = tensor.index_select(member.dimension, member.positions.reshape(-1))
    shape = (
        *picked.shape[: member.dimension],
        *member.positions.shape,
        *picked.shape[member.dimension + 1 :],
    )
    return picked.reshape(shape).movedim(member.dimension, 0).reshape(len(member.positions), -1)


def reorder(state: State, symmetry: Symmetry, order: Tensor) -> None:
    """Put unit ``order[u]`` in the place of unit u, in every tensor of the group."""
    for member in symmetry.members:
        tensor = state[member.parameter]
        at = torch.arange(tensor.shape[member.dimension])
        at[member.positions] = member.positions[order]
        state[member.parameter] = tensor.index_select(member.dimension, at)


def match(first: State, second: State, groups: list[Symmetry], passes: int = 20) -> State:
    """Permute the second network's neurons so that its weights come closest to the first's."""
    from scipy.optimize import linear_sum_assignment

    aligned = dict(second)
    for _ in range(passes):
        moved = False
        for group in groups:
            pairs = [(rows(first[m.parameter], m), rows(aligned[m.parameter], m)) for m in group.members]
            similarity = sum(((a @ b.T) for a, b in pairs), torch.zeros(group.size, group.size))
            order = torch.tensor(linear_sum_assignment(similarity.numpy(), maximize=True)[1])
            if not torch.equal(order, torch.arange(group.size)):
                reorder(aligned, group, order)
                moved = True
        if not moved:
            break
    return aligned


def barrier(loss: Callable[[State], float], first: State, second: State) -> tuple[float, list[float]]:
    """How far the loss rises above the straight line between both ends, and the losses on the way."""
    steps = [k / 10 for k in range(11)]
    losses = [loss({n: (1 - t) * first[n] + t * second[n] for n in first}) for t in steps]
    above = [v - (1 - t) * losses[0] - t * losses[-1] for t, v in zip(steps, losses, strict=True)]
    return max(above), losses


def main() -> None:
    """Train, align, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    images, classes, test_images, test_classes = digits()
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = resnet(options.width, options.blocks)
        train(model, images, classes, options.epochs, seed)
        states.append({name: tensor.detach().clone() for name, tensor in model.state_dict().items()})

    def evaluate(state: State) -> tuple[float, float]:
        with torch.no_grad():
            out = torch.func.functional_call(model, state, (test_images,))
        return float(F.cross_entropy(out, test_classes)), float(
            (out.argmax(1) == test_classes).float().mean()
        )

    stream = wsgraph.compile(model, "1x1x8x8")
    groups = [s for s in wsgraph.symmetries(stream) if s.kind == "neurons"]
    for group in groups:
        print(group)
    aligned = match(states[0], states[1], groups)
    before, after = evaluate(states[1])[0], evaluate(aligned)[0]
    print(f"second network's loss as it was {before:.6f}, aligned {after:.6f}")
    for name, other in (("as they are", states[1]), ("aligned", aligned)):
        height, losses = barrier(lambda state: evaluate(state)[0], states[0], other)
        middle = evaluate({n: (states[0][n] + other[n]) / 2 for n in other})[1]
        path = " ".join(f"{v:.2f}" for v in losses)
        print(f"{name:>12}: barrier {height:.3f}, accuracy half-way {middle:.1%}, losses {path}")


if __name__ == "__main__":
    main()
