"""Recipes: what they compute, and what they may not do."""

import json
import math

import pytest
import torch

from tests.events_samples import residual
from wsgraph.errors import StructureError
from wsgraph.events import Derived, RecipeBuilder, Source, evaluate
from wsgraph.events.recipe import parse_recipe


def derived(lines, shape, *sources):
    text = lines if isinstance(lines, str) else json.dumps(lines)
    return Derived("__wsgraph__.derived.0", shape, sources, text)


def test_weight_norm():
    linear = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(5, 3))
    weights = linear.state_dict()
    g, v = list(weights)[-2:]
    build = RecipeBuilder()
    norm = build.call("aten.linalg_vector_norm.default", Source(v), 2.0, [1], True)
    ratio = build.call("aten.div.Tensor", Source(g), norm)
    build.call("aten.mul.Tensor", Source(v), ratio)
    recipe = derived(build.text(), (3, 5), *build.sources)
    assert set(build.sources) == {g, v}
    torch.testing.assert_close(evaluate(recipe, weights), linear.weight.detach())


def test_weight_standardisation_through_batch_norm():
    weight = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    build = RecipeBuilder()
    flat = build.call("aten.reshape.default", Source("w"), [1, 4, -1])
    normed = build.call("aten.batch_norm.default", flat, None, None, None, None, True, 0.0, 1e-6, False)
    build.call("aten.reshape.default", normed, [4, 3, 2, 2])
    rows = weight.reshape(4, -1)
    expected = (rows - rows.mean(1, keepdim=True)) / (rows.var(1, keepdim=True, correction=0) + 1e-6).sqrt()
    got = evaluate(derived(build.text(), (4, 3, 2, 2), "w"), {"w": weight})
    torch.testing.assert_close(got, expected.reshape(4, 3, 2, 2))


def test_results_of_operators_with_several():
    build = RecipeBuilder()
    parts = build.call("aten.split.Tensor", Source("w"), 2, dim=1)
    build.call("getitem", parts, 1)
    weight = torch.arange(8.0).view(2, 4)
    assert torch.equal(evaluate(derived(build.text(), (2, 2), "w"), {"w": weight}), weight[:, 2:])


def test_weights_in_float64_make_everything_float64():
    """Whether the recipe asks for float32, takes torch's own type, or reads a constant."""
    build = RecipeBuilder()
    places = build.call("aten.arange.default", 3, dtype=torch.float32, device=torch.device("cpu"))
    ones = build.call("aten.ones.default", [3], device=torch.device("cpu"))
    row = build.call("aten.add.Tensor", build.call("aten.add.Tensor", places, ones), Source("const"))
    build.call("aten.matmul.default", row, build.call("aten.to.dtype", Source("w"), torch.float32))
    recipe = derived(build.text(), (2,), *build.sources)
    weight, constant = torch.randn(3, 2, dtype=torch.float64), torch.tensor([0.5, 1.5, 2.5])
    got = evaluate(recipe, {"w": weight, "const": constant})
    torch.testing.assert_close(got, torch.tensor([1.5, 3.5, 5.5], dtype=torch.float64) @ weight)
    assert evaluate(recipe, {"w": weight.float(), "const": constant}).dtype is torch.float32


def test_positions_made_from_nothing():
    build = RecipeBuilder()
    places = build.call("aten.arange.start", 0, 4, dtype=torch.float32, device=torch.device("cpu"))
    column = build.call("aten.unsqueeze.default", places, 1)
    build.call("aten.mul.Tensor", column, Source("freq"))
    got = evaluate(derived(build.text(), (4, 3), "freq"), {"freq": torch.tensor([1.0, 2.0, 3.0])})
    assert torch.equal(got, torch.outer(torch.arange(4.0), torch.tensor([1.0, 2.0, 3.0])))


def test_constants_strings_and_placement():
    build = RecipeBuilder()
    cast = build.call("aten._to_copy.default", Source("w"), dtype=torch.float64, device=torch.device("cuda"))
    low = build.call("aten.clamp.default", cast, -math.inf, 0.5)
    build.call("aten.gelu.default", low, approximate="tanh")
    got = evaluate(derived(build.text(), (2,), "w"), {"w": torch.tensor([1.0, -1.0])})
    expected = torch.nn.functional.gelu(torch.tensor([0.5, -1.0], dtype=torch.float64), approximate="tanh")
    assert torch.equal(got, expected)


def test_a_stream_computes_a_derived_tensor_once():
    stream = residual()
    view = stream.edge_blocks[3].feature
    weights = stream.state_dict()
    assert torch.equal(stream.feature(view).squeeze(-1), weights["b.g"] * weights["b.v"])
    assert stream.feature(view).data_ptr() == stream.feature(view).data_ptr()
    doubled = stream.bind({name: 2 * tensor for name, tensor in weights.items()})
    assert torch.equal(doubled.feature(view), 4 * stream.feature(view))


@pytest.mark.parametrize("value", [object(), torch.zeros(1), math.nan])
def test_arguments_that_a_recipe_cannot_hold(value):
    with pytest.raises(StructureError, match="cannot hold"):
        RecipeBuilder().call("aten.mul.Tensor", Source("w"), value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("{", "not JSON"),
        ([], "expected a list of lines"),
        ([["%0", "aten.neg.default", ["@w"]]], "malformed line"),
        ([["%0", "aten.neg.default", ["%1"], {}]], "nothing known"),
        ([["%0", "aten.neg.default", ["@v"], {}]], "expected exactly"),
        ([["%0", "aten.neg.default", ["w"], {}]], "nothing known"),
        ([["%0", "os.system", ["=true"], {}]], "not on the list"),
        ([["%0", "aten.from_file.default", ["=/etc/passwd"], {}]], "not on the list"),
        ([["%0", "aten.empty.memory_format", [[9]], {}]], "not on the list"),
        ([["%0", "aten.rand.default", [[9]], {}]], "not on the list"),
        ([["%0", "aten.add_.Tensor", ["@w", "@w"], {}]], "not on the list"),
        ([["%0", "aten.mul.__class__", ["@w", "@w"], {}]], "has the overloads"),
        ([["%0", "aten.mul.out", ["@w", "@w"], {"out": "@w"}]], "writes to its arguments"),
    ],
)
def test_malformed_recipes(lines, message):
    with pytest.raises(StructureError, match=message):
        parse_recipe(derived(lines, (2,), "w"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([["%0", "aten.neg.default", ["@w"], {}]], r"its recipe gives \[3\], expected \[2\]"),
        ([["%0", "aten.mm.default", ["@w", "@w"], {}]], "its recipe fails"),
        ([["%0", "aten.neg.default", ["@w", "@w", "@w"], {}]], "its recipe fails"),
        ([["%0", "aten.unbind.int", ["@w"], {}]], "no single tensor"),
        ([["%0", "getitem", ["@w"], {}]], "its recipe fails"),
        ([["%0", "aten.repeat.default", ["@w", [1 << 50]], {}]], "more than the"),
        (
            [["%0", "aten.full.default", [[1 << 50], 1], {}], ["%1", "aten.neg.default", ["@w"], {}]],
            "more than the",
        ),
        ([["%0", "aten.repeat.default", ["@w", [1 << 62, 1 << 62]], {}]], "its recipe fails"),
        ([["%0", "aten.repeat.default", ["@w", [1 << 70]], {}]], "its recipe fails"),
        ([["%0", "aten.unbind.int", ["@w"], {}], ["%1", "getitem", ["%0", 1 << 70], {}]], "its recipe fails"),
    ],
)
def test_recipes_that_fail(lines, message):
    with pytest.raises(StructureError, match=message):
        evaluate(derived(lines, (2,), "w"), {"w": torch.zeros(3)})


def test_a_recipe_does_not_change_the_weights():
    weights = {"w": torch.randn(1, 3, 4), "m": torch.zeros(3), "v": torch.ones(3)}
    before = {name: tensor.clone() for name, tensor in weights.items()}
    call = ["%0", "aten.batch_norm.default", ["@w", None, None, "@m", "@v", True, 0.5, 1e-5, False], {}]
    evaluate(derived([call], (1, 3, 4), "w", "m", "v"), weights)
    assert all(torch.equal(weights[name], before[name]) for name in weights)
