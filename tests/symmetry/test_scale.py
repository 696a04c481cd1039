"""Scales: any positive factor through ReLU, a sign through odd functions, on the model itself."""

import pytest
import torch
from torch import Tensor, nn

import wsgraph
from tests.compiler.nets import Net
from tests.symmetry.proof import double, example, gap, run
from wsgraph.symmetry import Symmetry


def _scaled(state: dict[str, Tensor], symmetry: Symmetry) -> dict[str, Tensor]:
    factors = torch.rand(symmetry.size, dtype=torch.float64) + 0.5
    if symmetry.kind == "sign":
        factors = torch.sign(torch.randn(symmetry.size, dtype=torch.float64))
        factors[0] = -1
    state = dict(state)
    for member in symmetry.members:
        tensor = state[member.parameter]
        along = torch.ones(tensor.shape[member.dimension], dtype=torch.float64)
        along[member.positions] = (factors**member.power).unsqueeze(1)
        view = [-1 if d == member.dimension else 1 for d in range(tensor.dim())]
        state[member.parameter] = tensor * along.view(view)
    return state


def _check(model: nn.Module, spec: str) -> set[tuple[str, str, int]]:
    model, x = double(model), example(spec)
    stream = wsgraph.compile(model, [x])
    scales = [s for s in wsgraph.symmetries(stream) if s.kind in ("positive_scale", "sign")]
    before = run(model, stream.state_dict(), (x,))
    for symmetry in scales:
        assert gap(before, run(model, _scaled(stream.state_dict(), symmetry), (x,))) <= 1e-9, symmetry
    return {(s.kind, s.scopes[0], s.size) for s in scales}


@pytest.mark.parametrize(
    ("activation", "kinds"),
    [
        (nn.ReLU(), {"positive_scale"}),
        (nn.LeakyReLU(0.2), {"positive_scale"}),
        (nn.Tanh(), {"sign"}),
        (nn.Identity(), {"positive_scale", "sign"}),
        (nn.GELU(), set()),
        (nn.PReLU(4), set()),
        (nn.Sigmoid(), set()),
    ],
)
def test_mlp(activation: nn.Module, kinds: set[str]) -> None:
    model = nn.Sequential(nn.Linear(3, 4), activation, nn.Linear(4, 2))
    assert _check(model, "1x3") == {(kind, "0", 4) for kind in kinds}


def test_sine() -> None:
    model = Net(lambda s, x: s.b(torch.sin(30 * s.a(x))), a=nn.Linear(2, 4), b=nn.Linear(4, 1))
    assert _check(model, "1x2") == {("sign", "a", 4)}


def test_convolution_with_batch_norm() -> None:
    """The convolution's own scale would have to move the statistics: only the norm's holds."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2)
    )
    assert _check(model, "1x3x8x8") == {("positive_scale", "1", 4)}


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: s.b(torch.relu(s.a(x) + 0.5)),
        lambda s, x: s.b(s.a(x) * torch.relu(s.a(x))),
        lambda s, x: s.b((y := s.a(x)) * torch.relu(y)),
        lambda s, x: s.b(1 / s.a(x)),
        lambda s, x: s.b((y := torch.relu(s.a(x))) + y**2),
        lambda s, x: s.b(torch.relu(s.a(x)) + x.sum(-1, keepdim=True)),
    ],
)
def test_no_scale_where_something_else_happens(forward: object) -> None:
    assert _check(Net(forward, a=nn.Linear(3, 4), b=nn.Linear(4, 2)), "1x3") == set()  # type: ignore[arg-type]
