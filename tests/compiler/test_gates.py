"""Gates, per-neuron scales, scalars, and sums over neurons."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net, edges, nodes, param
from wsgraph.ir.execute import execute
from wsgraph.testing.same_graph import difference

Prove = Callable[..., wsgraph.EventStream]


def test_squeeze_and_excitation(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        x = s.i(x)
        gate = torch.sigmoid(s.b(F.relu(s.a(F.adaptive_avg_pool2d(x, 1)))))
        return s.o(x * gate)

    parts = {
        "i": nn.Conv2d(3, 8, 3),
        "a": nn.Conv2d(8, 2, 1),
        "b": nn.Conv2d(2, 8, 1),
        "o": nn.Conv2d(8, 2, 1),
    }
    stream = prove(Net(forward, **parts), "1x3x6x6")
    assert nodes(stream)[4] == "n4 t3 product 8"
    assert edges(stream)[3:5] == [
        "n1 -> n4 one_to_one 8x1 learned gate",
        "n3 -> n4 one_to_one 8x1 learned gate",
    ]
    assert stream.num_timestamps == 4


def _halves(s: Net, x: Tensor) -> Any:
    h = s.a(x)
    return s.o(h[:, :3] * h[:, 3:].sigmoid())


@pytest.mark.parametrize(
    ("forward", "width", "gates"),
    [
        (lambda s, x: s.o(F.glu(s.a(x))), 3, ["n1[0:3]", "n1[3:6]"]),
        (lambda s, x: s.o(F.silu(s.a(x)) * s.b(x)), 6, ["n1", "n2"]),
        (lambda s, x: s.o(s.a(x) * torch.sigmoid(s.b(x))), 6, ["n1", "n2"]),
        (_halves, 3, ["n1[0:3]", "n1[3:6]"]),
    ],
    ids=["glu", "swiglu", "sigmoid", "halves"],
)
def test_gated_units(prove: Prove, forward: Callable[..., Tensor], width: int, gates: list[str]) -> None:
    model = Net(forward, a=nn.Linear(3, 6), b=nn.Linear(3, 6), o=nn.Linear(width, 2))
    stream = prove(model, "1x3")
    gating = [line.partition(" ->")[0] for line in edges(stream) if line.endswith("gate")]
    assert gating == gates


def test_a_neuron_times_its_own_sigmoid_is_an_activation(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        h = s.a(x)
        return s.o(h * h.sigmoid())

    model = Net(forward, a=nn.Linear(3, 3), o=nn.Linear(3, 2))
    assert len(nodes(prove(model, "1x3"))) == 3


def test_layer_scale_in_a_residual_branch(prove: Prove) -> None:
    model = Net(lambda s, x: s.o(x + s.g * s.a(x)), g=param(3), a=nn.Linear(3, 3), o=nn.Linear(3, 2))
    assert edges(prove(model, "1x3")) == [
        "n0 -> n1 dense 3x3x1 a.weight",
        "n1 -> n2 one_to_one 3x1 g",
        "n0 -> n2 one_to_one 3x1 learned residual",
        "n2 -> n3 dense 2x3x1 o.weight",
    ]


@pytest.mark.parametrize(
    ("forward", "shape"),
    [
        (lambda s, x: s.o(s.p * s.a(x)), ()),
        (lambda s, x: s.o(s.a(x) / s.p), (1,)),
        (lambda s, x: s.o(s.a(x).abs() ** s.p), (4,)),
        (lambda s, x: s.o(s.a(x) * s.p.exp()), (4,)),
        (lambda s, x: s.o(s.a(x) * s.p + s.p), (4,)),
        (lambda s, x: s.o(s.a(x) - s.p), ()),
    ],
    ids=["scalar", "divisor", "exponent", "computed", "affine", "shift"],
)
def test_parameters_on_neurons(prove: Prove, forward: Callable[..., Tensor], shape: tuple[int, ...]) -> None:
    prove(Net(forward, p=param(*shape), a=nn.Linear(3, 4), o=nn.Linear(4, 2)), "1x3")


@pytest.mark.parametrize("slopes", [1, 4])
def test_prelu(prove: Prove, slopes: int) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.PReLU(slopes), nn.Conv2d(4, 2, 1))
    stream = prove(model, "1x3x4x4")
    assert edges(stream)[1] == "n1 -> n2 one_to_one 4x1 1.weight"
    assert stream.node_blocks[2].attrs["activation"] == ("prelu",)


def test_a_scale_for_each_pixel_makes_pairs_of_neuron_and_pixel(prove: Prove) -> None:
    model = Net(
        lambda s, x: s.o(s.c(x) * s.p), c=nn.Conv2d(3, 4, 1), p=param(1, 1, 4, 4), o=nn.Conv2d(4, 2, 1)
    )
    assert nodes(prove(model, "1x3x4x4"))[2] == "n2 t1 hidden 64"


def test_generalised_mean_pooling(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        return s.o(F.avg_pool2d(s.c(x).clamp(min=1e-6).pow(s.p), 4).pow(1.0 / s.p).flatten(1))

    stream = prove(Net(forward, c=nn.Conv2d(3, 4, 1), p=param(1), o=nn.Linear(4, 2)), "1x3x4x4")
    assert stream.num_timestamps == 2


def test_split_attention_reduces_over_the_radix(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        h = s.c(x).view(1, 2, 4, 4, 4)
        gate = s.b(F.relu(s.a(h.sum(1).mean((2, 3))))).view(1, 2, 4).softmax(1)
        return s.o((h * gate[..., None, None]).sum(1))

    parts = {"c": nn.Conv2d(3, 8, 1), "a": nn.Linear(4, 2), "b": nn.Linear(2, 8), "o": nn.Conv2d(4, 2, 1)}
    stream = prove(Net(forward, **parts), "1x3x4x4")
    reductions = [line.partition(" -> ")[2] for line in edges(stream) if line.endswith("reduce")]
    assert reductions == ["n2 grouped 4x1x2x1 learned reduce", "n6 grouped 4x1x2x1 learned reduce"]


def test_a_gate_from_the_mean_over_channels(prove: Prove) -> None:
    def forward(s: Net, x: Tensor) -> Any:
        h = s.c(x)
        seen = torch.cat([h.mean(1, keepdim=True), h.amax(1, keepdim=True)], 1)
        return s.o(h * torch.sigmoid(s.g(seen)))

    parts = {"c": nn.Conv2d(3, 4, 1), "g": nn.Conv2d(2, 1, 3, padding=1), "o": nn.Conv2d(4, 2, 1)}
    stream = prove(Net(forward, **parts), "1x3x4x4")
    assert edges(stream)[1] == "n1 -> n2 dense 1x4x1 learned reduce"
    assert edges(stream)[3] == "n2+n3 -> n4 dense 1x2x9 g.weight"


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: s.o(F.normalize(s.a(x), dim=-1)),
        lambda s, x: s.o(s.a(x) - s.a(x).mean(-1, keepdim=True)),
        lambda s, x: s.o(s.a(x).softmax(-1)),
        lambda s, x: s.o(torch.maximum(s.a(x), s.b(x))),
        lambda s, x: s.o(torch.lerp(s.a(x), s.b(x), 0.3)),
        lambda s, x: s.o(torch.addcmul(s.a(x), s.b(x), s.b(x).sigmoid())),
    ],
    ids=["normalize", "centre", "softmax", "maximum", "lerp", "addcmul"],
)
def test_operators_between_neurons(prove: Prove, forward: Callable[..., Tensor]) -> None:
    prove(Net(forward, a=nn.Linear(3, 4), b=nn.Linear(3, 4), o=nn.Linear(4, 2)), "1x3")


def test_an_outer_product_makes_a_node_a_pair(prove: Prove) -> None:
    model = Net(
        lambda s, x: s.o((s.a(x).unsqueeze(-1) * s.b(x).unsqueeze(-2)).flatten(1)),
        a=nn.Linear(3, 4), b=nn.Linear(3, 2), o=nn.Linear(8, 2),
    )  # fmt: skip
    assert "n3 t1 product 8" in nodes(prove(model, "1x3"))


@pytest.mark.parametrize(
    "name", ["ReLU", "GELU", "SiLU", "Hardswish", "ELU", "Mish", "Softplus", "Tanh", "ReLU6"]
)
def test_activations_are_attributes(prove: Prove, name: str) -> None:
    stream = prove(nn.Sequential(nn.Linear(3, 4), getattr(nn, name)(), nn.Dropout(), nn.Linear(4, 2)), "1x3")
    assert len(stream.node_blocks) == 3
    activation = stream.node_blocks[1].attrs["activation"]
    assert isinstance(activation, tuple)
    assert name.lower().replace("relu6", "hardtanh") in "".join(map(str, activation)).replace("_", "")


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: torch.addcmul(s.shift, s.scale, s.a(x)),
        lambda s, x: torch.addcmul(s.a(x), s.scale, s.b(x), value=0.5),
        lambda s, x: s.a(x).addcmul_(s.b(x), s.scale),
        lambda s, x: torch.addcdiv(s.shift, s.a(x), s.scale),
        lambda s, x: torch.lerp(s.a(x), s.b(x), s.scale),
        lambda s, x: torch.lerp(s.a(x), s.b(x), 0.3),
        lambda s, x: torch.addcmul(s.a(x), s.shift, s.scale),
    ],
)
def test_products_and_sums_in_one_operator(prove: Prove, forward: Any) -> None:
    parts = {"a": nn.Linear(3, 4), "b": nn.Linear(3, 4), "o": nn.Linear(4, 2)}
    net = Net(lambda s, x: s.o(forward(s, x)), **parts, shift=param(4), scale=param(4))
    stream = prove(net, "5x3")
    ran, _ = execute(wsgraph.compiler.trace(net, "5x3"), [x := torch.randn(5, 3)], dict(net.state_dict()))
    assert torch.allclose(ran[0], net(x), atol=1e-6)
    assert stream.ledger().total("opaque") == 0


def test_an_affine_written_in_one_operator_is_that_written_in_two(prove: Prove) -> None:
    parts = {"a": nn.Linear(3, 4), "shift": param(4), "scale": param(4)}
    one = prove(Net(lambda s, x: torch.addcmul(s.shift, s.scale, s.a(x)), **parts), "5x3")
    two = prove(Net(lambda s, x: s.shift + s.scale * s.a(x), **parts), "5x3")
    assert difference(one, two) == ""
