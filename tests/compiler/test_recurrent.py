"""RNN, LSTM, GRU: gates, states and products, in whole layers and in single cells."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, nodes, roles

Prove = Callable[..., wsgraph.EventStream]


def with_states(layer: nn.RNNBase) -> Net:
    """The layer between linear layers, its initial state (and memory) from a second input."""
    size = layer.proj_size or layer.hidden_size

    def forward(s: Net, x: Tensor, y: Tensor) -> Any:
        hidden = s.h(y)
        state = (hidden, s.c(y)) if isinstance(s.layer, nn.LSTM) else hidden
        return s.o(s.layer(s.i(x), state)[0])

    parts = {
        "i": nn.Linear(3, layer.input_size),
        "h": nn.Linear(2, size),
        "c": nn.Linear(2, layer.hidden_size),
    }
    return Net(forward, layer=layer, o=nn.Linear(size, 2), **parts)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.LSTM(4, 5),
        lambda: nn.LSTM(4, 5, proj_size=3),
        lambda: nn.GRU(4, 5),
        lambda: nn.RNN(4, 5),
        lambda: nn.RNN(4, 5, bias=False),
    ],
    ids=["lstm", "projection", "gru", "rnn", "without bias"],
)
def test_layers_with_given_states(prove: Prove, layer: Callable[[], nn.RNNBase], steps: int) -> None:
    prove(with_states(layer()), [f"{steps}x1x3", "1x1x2"])


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2),
        nn.LSTM(3, 4, 2, batch_first=True, bias=False),
        nn.GRU(3, 4, 2, bidirectional=True, batch_first=True),
        nn.RNN(3, 4, 2, bidirectional=True),
    ],
)
def test_stacked_and_bidirectional_layers(prove: Prove, layer: nn.Module) -> None:
    prove(layer, "3x2x3")


def test_a_relu_layer_is_one_block_a_direction() -> None:
    """Zeros of the activation hide edges from the proof, so the weights are compared."""
    layer = nn.RNN(3, 4, nonlinearity="relu")
    stream = wsgraph.compile(layer, "5x1x3")
    block = stream.node_blocks[-1]
    assert block.attrs["activation"] == ("relu",)
    assert edges(stream) == ["n0 -> n2 dense 4x3x1 weight_ih_l0", "n1 -> n2 dense 4x4x1 weight_hh_l0"]
    assert sorted(view.name for view in block.features.values()) == ["bias_hh_l0", "bias_ih_l0"]


def test_cells(prove: Prove) -> None:
    def forward(s: Net, x: Tensor, h: Tensor, c: Tensor) -> Any:
        h, c = s.a(x, (h, c))
        return s.p(s.g(h, c), h)

    model = Net(forward, a=nn.LSTMCell(3, 4), g=nn.GRUCell(4, 4), p=nn.RNNCell(4, 4))
    stream = prove(model, ["2x3", "2x4", "2x4"])
    assert stream.num_timestamps == 3


def test_one_lstm_layer_counted_by_hand() -> None:
    stream = wsgraph.compile(nn.LSTM(8, 16), "5x1x8")
    assert roles(stream) == [
        (0, "input", 8),
        (0, "state", 16),
        (0, "state", 16),
        *[(1, "gate", 16)] * 4,
        (1, "cell", 16),
        (1, "output", 16),
    ]
    # four gates read input and state; the memory multiplies and adds f, c, i and g, the result o and c
    assert stream.num_edges == 4 * (8 * 16 + 16 * 16) + 4 * 16 + 2 * 16


def test_layers_follow_each_other_in_time() -> None:
    assert wsgraph.compile(nn.GRU(4, 5, 3), "7x1x4").num_timestamps == 3
    assert wsgraph.compile(nn.LSTM(4, 5, 3, proj_size=2), "7x1x4").num_timestamps == 6


def features(stream: wsgraph.EventStream, role: str) -> list[dict[str, Tensor]]:
    """For each block of a role its node features and the weights of its dense edges, by source role."""
    out = []
    for block in (n for n in stream.node_blocks if n.attrs["role"] == role):
        found = {name: stream.feature(view) for name, view in block.features.items()}
        for edge in stream.edge_blocks:
            if edge.dst == block.id and edge.pattern == "dense":
                source = stream.node_blocks[edge.src.parts[0].block]
                found[str(source.attrs["role"])] = stream.feature(edge.feature).squeeze(-1)  # type: ignore[arg-type]  # a view
        found["activation"] = block.attrs.get("activation", ())  # type: ignore[assignment]  # text beside tensors
        out.append(found)
    return out


def test_the_gates_compute_what_torch_computes() -> None:
    """A step worked out from the graph's own weights, by the textbook's formula."""
    layer = nn.LSTM(3, 4)
    x, h, c = torch.randn(3), torch.randn(4), torch.randn(4)
    stream = wsgraph.compile(layer, "2x1x3")
    gates = []
    for gate in features(stream, "gate"):
        total = gate["input"] @ x + gate["state"] @ h + gate["bias"] + gate["recurrent_bias"]
        gates.append(getattr(torch, gate["activation"][0])(total))  # type: ignore[arg-type]  # its name
    i, f, g, o = gates
    memory = f * c + i * g
    expected, (_, state) = layer(x.view(1, 1, 3), (h.view(1, 1, 4), c.view(1, 1, 4)))
    assert torch.allclose(o * memory.tanh(), expected.flatten(), atol=1e-6)
    assert torch.allclose(memory, state.flatten(), atol=1e-6)


def test_states_name_what_they_repeat() -> None:
    stream = wsgraph.compile(nn.LSTM(3, 4, bidirectional=True), "2x1x3")
    tied: dict[Any, list[str]] = {}
    for node in stream.node_blocks:
        if "recurrence" in node.attrs:
            tied.setdefault(node.attrs["recurrence"], []).append(str(node.attrs["role"]))
    assert sorted(map(sorted, tied.values())) == [["cell", "state"]] * 2 + [["output", "state"]] * 2


def test_the_last_state_of_both_directions_reaches_the_head(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        _, (hidden, _) = s.rnn(x)
        return s.head(torch.cat([hidden[-2], hidden[-1]], -1))

    model = Net(forward, rnn=nn.LSTM(3, 4, 2, bidirectional=True), head=nn.Linear(8, 2))
    stream = prove(model, "3x1x3")
    assert edges(stream)[-1].endswith("dense 2x8x1 head.weight")


def test_a_learned_initial_state(prove: Prove) -> None:
    model = Net(
        lambda s, x: s.rnn(x, s.start.expand(1, x.shape[1], 4))[0],
        rnn=nn.GRU(3, 4),
        start=nn.Parameter(torch.randn(1, 1, 4)),
    )
    stream = prove(model, "1x2x3")
    assert stream.ledger().total("lowered") == sum(p.numel() for p in model.parameters())


def test_a_learned_initial_state_of_its_own_for_each_sequence(prove: Prove) -> None:
    model = Net(
        lambda s, x: s.rnn(x, s.start)[0], rnn=nn.GRU(3, 4, 2), start=nn.Parameter(torch.randn(2, 2, 4))
    )
    stream = prove(model, "1x2x3")
    assert stream.ledger().total("lowered") == sum(p.numel() for p in model.parameters())


def test_two_layers_called_in_one_scope_are_not_taken_for_one() -> None:
    def run(s: Net, x: Tensor) -> Tensor:
        for layer in (s.first, s.second):
            weights = [p for _, p in layer.named_parameters()]
            x = torch.gru(x, torch.zeros(1, 1, 4), weights, True, 1, 0.0, False, False, True)[0]
        return x

    stream = wsgraph.compile(Net(run, first=nn.GRU(3, 4), second=nn.GRU(4, 4)), "1x2x3")
    labels = [n.attrs["recurrence"] for n in stream.node_blocks if "recurrence" in n.attrs]
    assert len(labels) == 4
    assert len(set(labels)) == 2


def test_gates_over_an_embedding(prove: Prove) -> None:
    model = Net(
        lambda s, x: s.o(s.rnn(s.e(x))[0][:, -1]), e=nn.Embedding(9, 3), rnn=nn.GRU(3, 4, batch_first=True)
    )
    model.o = nn.Linear(4, 2)
    stream = prove(model, "2x6:int64")
    assert nodes(stream)[-1] == f"n{len(stream.node_blocks) - 1} t3 output 2"


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_a_first_step_without_input_is_a_step(prove: Prove, cell: type[nn.RNNCellBase]) -> None:
    """A decoder's: of constants and parameters alone, it is a layer all the same, and no derived tensor."""

    def forward(s: Net, x: Tensor) -> Any:
        state = s.cell(x, s.cell(torch.zeros(1, 4)))
        return s.head(state[0] if isinstance(state, tuple) else state)

    stream = prove(Net(forward, cell=cell(4, 5), head=nn.Linear(5, 4)), "1x4")
    assert not stream.structure.derived
