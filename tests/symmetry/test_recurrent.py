"""Recurrent layers: a hidden unit's rows in all gates, its recurrent column, and what reads it."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, param
from tests.symmetry.proof import double, example, permutations, proved
from wsgraph.symmetry import Symmetry


def _read_out(layer: nn.RNNBase) -> Net:
    width = (layer.proj_size or layer.hidden_size) * (2 if layer.bidirectional else 1)
    return Net(lambda s, x: s.o(s.layer(x)[0]), layer=layer, o=nn.Linear(width, 2))


def _places(symmetry: Symmetry) -> set[tuple[str, int, Any, int]]:
    return {(m.parameter, m.dimension, m.strided, m.positions.shape[1]) for m in symmetry.members}


def _rows(suffix: str, gates: int, size: int) -> set[tuple[str, int, Any, int]]:
    """By hand: row u of gate k is row k * size + u of both weights and of both biases."""
    names = [f"layer.{kind}_{side}_{suffix}" for kind in ("weight", "bias") for side in ("ih", "hh")]
    return {(name, 0, (k * size, 1, 1), 1) for name in names for k in range(gates)}


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(("cell", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_one_layer(cell: type[nn.RNNBase], gates: int, steps: int) -> None:
    found = proved(_read_out(cell(3, 5)), f"{steps}x2x3")
    (units,) = [s for s in found if s.kind == "neurons"]
    column, read = ("layer.weight_hh_l0", 1, (0, 1, 1), 1), ("o.weight", 1, (0, 1, 1), 1)
    assert _places(units) == {*_rows("l0", gates, 5), column, read}
    assert permutations(found) == {("neurons", 5): 1}


def test_relu_has_no_scale_through_its_recurrence() -> None:
    found = proved(_read_out(nn.RNN(3, 5, nonlinearity="relu")), "4x2x3")
    assert [(s.kind, s.size) for s in found] == [("neurons", 5)]


def test_stacked_layers_in_both_directions() -> None:
    """Each layer has units of its own in either direction, which the next layer reads beside each other."""
    found = proved(_read_out(nn.GRU(3, 4, 2, bidirectional=True, batch_first=True)), "2x3x3")
    assert permutations(found) == {("neurons", 4): 4}
    (first,) = [s for s in found if ("layer.bias_ih_l0_reverse", 0, (0, 1, 1), 1) in _places(s)]
    following = {("layer.weight_ih_l1", 1, (4, 1, 1), 1), ("layer.weight_ih_l1_reverse", 1, (4, 1, 1), 1)}
    own = {*_rows("l0_reverse", 3, 4), ("layer.weight_hh_l0_reverse", 1, (0, 1, 1), 1)}
    assert _places(first) == own | following


def test_projections() -> None:
    """The memory's units and the projected ones are permuted apart from each other."""
    found = proved(_read_out(nn.LSTM(3, 5, proj_size=2)), "3x2x3")
    assert permutations(found) == {("neurons", 5): 1, ("neurons", 2): 1}
    by_size = {s.size: _places(s) for s in found}
    assert by_size[5] == {*_rows("l0", 4, 5), ("layer.weight_hr_l0", 1, (0, 1, 1), 1)}
    assert by_size[2] == {
        ("layer.weight_hr_l0", 0, (0, 1, 1), 1), ("layer.weight_hh_l0", 1, (0, 1, 1), 1),
        ("o.weight", 1, (0, 1, 1), 1),
    }  # fmt: skip


def test_initial_states_from_another_layer_move_too() -> None:
    def forward(s: Net, x: Tensor, y: Tensor) -> Any:
        return s.o(s.layer(x, (s.h(y), s.c(y)))[0])

    model = Net(forward, layer=nn.LSTM(3, 5), h=nn.Linear(2, 5), c=nn.Linear(2, 5), o=nn.Linear(5, 2))
    found = proved(model, "4x1x3", "1x1x2")
    assert permutations(found) == {("neurons", 5): 1}
    assert {("h.weight", 0, (0, 1, 1), 1), ("c.bias", 0, (0, 1, 1), 1)} < _places(found[0])


@pytest.mark.parametrize("rows", [1, 2])
def test_learned_initial_states(rows: int) -> None:
    """One row for the whole batch moves with the units; with a row an example nothing is claimed."""
    model = Net(lambda s, x: s.o(s.layer(x, s.h.expand(1, 2, 5))[0]) + s.o(s.h).mean(),
                layer=nn.GRU(3, 5), h=param(1, rows, 5), o=nn.Linear(5, 2))  # fmt: skip
    found = permutations(proved(model, "4x2x3"))
    assert found == ({("neurons", 5): 1} if rows == 1 else {})


def _constant_state(values: Tensor, *, persistent: bool) -> Net:
    model = Net(lambda s, x: s.o(s.layer(x, s.h.expand(1, 2, 4))[0]),
                layer=nn.GRU(3, 4), o=nn.Linear(4, 2))  # fmt: skip
    model.register_buffer("h", values, persistent=persistent)
    return model


@pytest.mark.parametrize("steps", [1, 3])
def test_constant_initial_states(steps: int) -> None:
    distinct, equal = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.full((4,), 0.5)
    spec = f"{steps}x2x3"
    assert permutations(proved(_constant_state(distinct, persistent=False), spec)) == {}
    # another checkpoint may have a buffer of other values
    assert permutations(proved(_constant_state(equal, persistent=True), spec)) == {}
    assert permutations(proved(_constant_state(equal, persistent=False), spec)) == {("neurons", 4): 1}


def test_last_hidden_states_of_all_layers() -> None:
    def forward(s: Net, x: Tensor) -> Any:
        _, (hidden, cell) = s.layer(x)
        return s.o(hidden[-1]) + s.p(cell[0]) + s.q(hidden.transpose(0, 1).flatten(1))

    model = Net(forward, layer=nn.LSTM(3, 4, 2, batch_first=True),
                o=nn.Linear(4, 2), p=nn.Linear(4, 2), q=nn.Linear(8, 2))  # fmt: skip
    assert permutations(proved(model, "2x3x3")) == {("neurons", 4): 2}


def test_cells_unrolled_by_hand() -> None:
    def forward(s: Net, x: Tensor) -> Any:
        state: Any = None
        for k in range(3):
            state = s.cell(x[:, k], state)
        return s.o(state[0])

    found = proved(Net(forward, cell=nn.LSTMCell(3, 4), o=nn.Linear(4, 2)), "2x3x3")
    assert permutations(found) == {("neurons", 4): 1}


def test_steps_that_are_neurons_are_pinned() -> None:
    """A sequence whose steps are units of the layer before: they have an order."""

    def forward(s: Net, x: Tensor) -> Any:
        return s.o(s.layer(torch.relu(s.i(x)).unsqueeze(-1))[0])

    model = Net(forward, i=nn.Linear(3, 6), layer=nn.GRU(1, 4, batch_first=True), o=nn.Linear(4, 2))
    assert permutations(proved(model, "2x3")) == {("neurons", 4): 1}


def test_between_linear_layers() -> None:
    layers = itertools.pairwise((3, 6, 2))
    i, o = (nn.Linear(a, b) for a, b in layers)
    model = Net(lambda s, x: s.o(s.layer(torch.relu(s.i(x)))[0]), i=i, layer=nn.RNN(6, 6), o=o)
    assert permutations(proved(model, "4x2x3")) == {("neurons", 6): 2}


def test_merging_specification_reads_a_state_dict() -> None:
    """Every unit of an LSTM's groups has a row in each of the four gates."""
    stream = wsgraph.compile(double(_read_out(nn.LSTM(3, 4))), [example("3x1x3")])
    (units,) = wsgraph.symmetries(stream)
    gates = [m for m in units.members if m.parameter == "layer.weight_ih_l0"]
    assert [m.positions.flatten().tolist() for m in gates] == [
        list(range(4 * k, 4 * k + 4)) for k in range(4)
    ]
