"""Tracing: the fallback, and errors that say whether the input, the forward or the model is at fault."""

import logging

import pytest
import torch
from torch import nn

import wsgraph
from wsgraph.compiler import trace
from wsgraph.errors import FrontendError, InputShapeError, LoweringError, UnsupportedOperatorError


class Net(nn.Module):
    """One layer; what a forward does with it is the subclass's."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)


class Recording(Net):
    """Keeps activations as arrays, which torch.export refuses; torch.fx sees that nothing uses them."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(4, 2)
        self.seen = []

    def forward(self, x):
        x = self.layer(x)
        self.seen.append(x.detach().numpy())
        return torch.relu(x)


class Branching(Net):
    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else x


class Scaling(Net):
    def forward(self, x):
        return self.layer(x) * x.mean().item()


class Slicing(Net):
    def forward(self, x):
        return self.layer(x)[:, : int(x.sum().item())]


class Conditional(Net):
    def forward(self, x):
        return torch.cond(x.sum() > 0, torch.sin, torch.cos, (self.layer(x),))


class Logging(Net):
    """Reads a number that nothing uses."""

    def forward(self, x):
        self.mean = x.mean().item()
        return self.layer(x)


class Numpy(Net):
    def forward(self, x):
        return torch.from_numpy(self.layer(x).numpy())


class Misspelt(Net):
    def forward(self, x):
        return self.layer(x).rleu()


class Summing(Net):
    def forward(self, x, y):
        return self.layer(x) + y


IMAGES = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


@pytest.fixture(autouse=True)
def nothing_is_printed(capfd):
    """The exception is the only message; torch's own logs and graph dumps stay away from the user."""
    yield
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert logging.root.manager.disable == 0


def test_symbolic_trace_takes_over_and_says_why():
    model = Recording()
    stream = wsgraph.compile(model, "1x4")
    assert stream.structure.meta["frontend"] == "torch.fx"
    (note,) = (note for note in stream.structure.meta["notes"] if note.startswith("frontend:"))
    assert note.startswith("frontend: torch.fx symbolic_trace, because torch.export failed: ")
    assert ".numpy() is not supported" in note
    assert [node.size for node in stream.node_blocks] == [4, 4]
    assert stream.node_blocks[1].attrs["scope"] == "layer"


def test_the_fallback_loses_no_parameter_and_leaves_the_module_alone():
    model = Recording()
    stream = wsgraph.compile(model, "1x4")
    assert stream.state_dict().keys() == model.state_dict().keys()
    totals = stream.ledger().to_dict()["totals"]["parameter"]
    assert (totals["elements"], totals["lowered"], totals["unused"]) == (30, 20, 10)
    assert model.seen == []
    assert model.training


class Whispering(Net):
    """Makes its mask only where it believes that nobody traces it, as LongT5 does."""

    def forward(self, x):
        mask = None if torch.compiler.is_compiling() else torch.ones(4)
        return self.layer(x) * mask.reshape(1, 4)


def test_a_forward_with_a_path_for_tracing_that_does_not_work():
    stream = wsgraph.compile(Whispering(), "1x4")
    assert "frontend: torch.export, the forward not told that it is traced" in stream.structure.meta["notes"]
    assert stream.ledger().total("lowered") == 20
    assert not torch.compiler.is_compiling()


class Switching(Net):
    def forward(self, x):
        with torch.no_grad():
            scale = x.square().mean()
        with torch.set_grad_enabled(True):
            x = x / scale
        with torch.enable_grad():
            return self.layer(x)


def test_switches_of_gradients_are_no_operators():
    before = torch.set_grad_enabled
    graph = trace(Switching(), "1x4")
    assert graph.frontend == "torch.export"
    assert {op.key for op in graph.ops} == {"aten.square", "aten.mean", "aten.div", "aten.linear"}
    assert torch.set_grad_enabled is before
    assert torch.is_grad_enabled()


def test_the_main_frontend_is_named():
    notes = wsgraph.compile(nn.Linear(2, 1), "1x2").structure.meta["notes"]
    assert "frontend: torch.export" in notes


@pytest.mark.parametrize("model", [Branching, Scaling, Slicing, Conditional])
@pytest.mark.parametrize("inputs", ["1x4", None])
def test_forwards_that_depend_on_the_data(model, inputs):
    with pytest.raises(FrontendError, match="depends on the data") as caught:
        wsgraph.compile(model(), inputs)
    assert not isinstance(caught.value, InputShapeError)
    assert "shapes alone" in caught.value.remedy


def test_a_number_that_nothing_uses_does_no_harm():
    assert wsgraph.compile(Logging(), "1x4").num_edges == 16


def test_dynamic_sizes_of_an_exported_program_are_those_of_its_example():
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(IMAGES, (torch.zeros(4, 3, 8, 8),), dynamic_shapes=({0: batch},))
    stream = wsgraph.compile(program)
    assert stream.structure.meta["inputs"] == ("input: f32[4, 3, 8, 8]",)
    assert [node.size for node in stream.node_blocks] == [3, 4, 2]


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ("1x4x8x8", "3 channels, but got 4"),
        ("1x3x2x2", "Kernel size"),
        ("1x3", "conv2d"),
        ("1x3x8x8:int64", "on an input of 1x3x8x8:int64"),
    ],
)
def test_wrong_shapes_name_one_that_fits(shape, reason):
    with pytest.raises(InputShapeError, match=reason) as caught:
        wsgraph.compile(IMAGES, shape)
    assert caught.value.remedy == "give a shape that the model takes, such as --input 1x3x32x32"


@pytest.mark.parametrize("given", [["1x4"], ["1x4", "1x4", "1x4"]])
def test_wrong_number_of_inputs(given):
    with pytest.raises(InputShapeError, match=rf"takes 2 inputs \(x, y\), got {len(given)}"):
        wsgraph.compile(Summing(), given)


def test_missing_shapes():
    with pytest.raises(InputShapeError, match="takes 2 inputs"):
        wsgraph.compile(Summing())
    with pytest.raises(InputShapeError, match=r"takes 1 input \(input\), got 0"):
        wsgraph.compile(nn.Linear(4, 2), [])


def test_inputs_that_are_no_tensors():
    with pytest.raises(InputShapeError, match="of type ndarray"):
        wsgraph.compile(IMAGES, torch.zeros(1, 3, 8, 8).numpy())


def test_a_forward_that_leaves_torch():
    with pytest.raises(FrontendError, match="leaves torch"):
        wsgraph.compile(Numpy(), "1x4")


def test_a_mistake_in_the_forward_is_not_put_down_to_the_input():
    with pytest.raises(FrontendError, match="rleu") as caught:
        wsgraph.compile(Misspelt(), "1x4")
    assert not isinstance(caught.value, InputShapeError)


def test_a_model_without_parameters():
    with pytest.raises(LoweringError, match="no parameters"):
        wsgraph.compile(nn.ReLU(), "1x4")


def test_an_unsupported_operator_is_named_with_its_place():
    class Singular(Net):
        def forward(self, x):
            return torch.linalg.svd(self.layer(x))[0]

    with pytest.raises(UnsupportedOperatorError, match=r"aten\.linalg_svd") as caught:
        wsgraph.compile(nn.Sequential(Singular()), "4x4")
    assert "at 0 " in caught.value.message
    assert "wsgraph_register_lowerings" in caught.value.remedy
