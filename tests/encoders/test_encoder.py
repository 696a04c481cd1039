"""Batches, gradients, options, and streams that an encoder cannot take."""

import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wsgraph
from tests.encoders.networks import NETWORKS, compiled, doubled, mlp, stream
from wsgraph.errors import CheckpointError, StructureError
from wsgraph_encoders import DNGConfig, DNGEncoder, batch, collate, passes
from wsgraph_encoders.errors import EncoderError
from wsgraph_encoders.program import program_of

SMALL = DNGConfig(hidden=8, frequencies=6, edge_width=4)


def encoder(config: DNGConfig = SMALL, seed: int = 0, **options: Any) -> DNGEncoder:
    torch.manual_seed(seed)
    return DNGEncoder(replace(config, **options))


def leaves(s: wsgraph.EventStream) -> tuple[wsgraph.EventStream, dict[str, Tensor]]:
    """The stream with float64 weights that require gradients."""
    state = {
        name: tensor.detach().double().requires_grad_() if tensor.is_floating_point() else tensor
        for name, tensor in s.state_dict().items()
    }
    return s.bind(state), {name: tensor for name, tensor in state.items() if tensor.requires_grad}


def test_embeddings_come_in_input_order() -> None:
    model = encoder()
    streams = [stream(name) for name in ("vit", "mlp", "cnn", "mlp", "vit")]
    batch = collate(streams)
    assert len(batch) == 5
    assert [group.positions for group in batch.groups] == [(0, 4), (1, 3), (2,)]
    out = model(batch)
    assert out.embedding.shape == (5, 8)
    torch.testing.assert_close(out.embedding[1], out.embedding[3])
    for s, memories in zip(streams, out.memories, strict=True):
        assert {block: tuple(m.shape) for block, m in memories.items()} == {
            n.id: (n.size, 8) for n in s.node_blocks
        }


def test_one_stream_is_not_copied() -> None:
    one = stream("mlp")
    (group,) = collate([one]).groups
    view = one.edge_blocks[0].feature
    assert isinstance(view, wsgraph.events.ParamView)
    assert group.values(view).data_ptr() == one.feature(view).data_ptr()


@pytest.mark.parametrize("parameters", ["per_step", "per_kind"])
@pytest.mark.parametrize("name", NETWORKS)
def test_all_gradients_equal_the_references(name: str, parameters: str) -> None:
    s, weights = leaves(stream(name))
    config = replace(SMALL, passes=2, activation_embeddings=True, position_embeddings=True)
    config = config.for_stream(s) if parameters == "per_step" else config
    results = []
    for message in ("spectral", "reference"):
        model = encoder(config, message=message).double()
        model(collate([s])).embedding.square().sum().backward()
        results.append(
            {n: p.grad for n, p in model.named_parameters()} | {n: w.grad for n, w in weights.items()}
        )
        for weight in weights.values():
            weight.grad = None
    spectral, reference = results
    assert {n for n, g in spectral.items() if g is None} == {n for n, g in reference.items() if g is None}
    for key, grad in reference.items():
        if grad is not None:
            torch.testing.assert_close(spectral[key], grad, rtol=1e-8, atol=1e-10)
    unread = {key for key in weights if reference[key] is None}
    assert not unread, "every weight of these networks is a feature"


def test_weights_learn_through_derived_tensors_more_than_once() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), nn.ReLU(), nn.Linear(4, 2))
    s, weights = leaves(wsgraph.compile(model, "1x3"))
    for _ in range(2):
        encoder().double()(collate([s])).embedding[:, 0].sum().backward()  # the sum of all is constant
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in weights.values())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("key", ["0.weight", "1.running_mean", "7.bias"])
def test_weights_that_are_not_finite_are_named(key: str, value: float) -> None:
    good = stream("cnn")
    state = {name: tensor.clone() for name, tensor in good.state_dict().items()}
    state[key].view(-1)[-1] = value
    with pytest.raises(CheckpointError, match=f"parameter '{key}' of stream 1 has 1 element"):
        encoder()(collate([good, good.bind(state)]))


def test_variances_below_zero_are_named() -> None:
    good = stream("cnn")
    state = {name: tensor.clone() for name, tensor in good.state_dict().items()}
    state["1.running_var"][0] = -1
    with pytest.raises(CheckpointError, match=r"1\.running_var"):
        encoder()(collate([good.bind(state)]))


def test_a_normalisation_is_its_effective_affine_map() -> None:
    """Whatever gamma, beta, mean and variance are: the same scale and shift encode the same."""
    good = stream("resnet")
    state = {name: t.double() if t.is_floating_point() else t for name, t in good.state_dict().items()}
    scale = state["norm.weight"] / (state["norm.running_var"] + 1e-5).sqrt()
    shift = state["norm.bias"] - state["norm.running_mean"] * scale
    variance, mean = torch.rand(5).double() + 0.5, torch.randn(5).double()
    other = state | {
        "norm.running_var": variance,
        "norm.running_mean": mean,
        "norm.weight": scale * (variance + 1e-5).sqrt(),
        "norm.bias": shift + mean * scale,
    }
    out = encoder().double()(collate([good.bind(state), good.bind(other)]))
    torch.testing.assert_close(out.embedding[0], out.embedding[1], rtol=1e-9, atol=1e-12)


def test_a_normalisation_without_scale_still_has_its_statistics() -> None:
    plain = compiled(
        nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3, affine=False), nn.Conv2d(3, 2, 1)), "1x1x2x2"
    )
    state = dict(plain.state_dict())
    for key in ("1.running_var", "1.running_mean"):
        out = encoder()(collate([plain, plain.bind(state | {key: state[key] + 1})]))
        assert (out.embedding[0] - out.embedding[1]).norm() > 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_stored_precision_is_read_as_it_is(dtype: torch.dtype) -> None:
    s = stream("resnet")
    low = s.bind({n: t.to(dtype) if t.is_floating_point() else t for n, t in s.state_dict().items()})
    same = s.bind({n: t.float() if t.is_floating_point() else t for n, t in low.state_dict().items()})
    model = encoder()
    got, expected = model(collate([low])).embedding, model(collate([same])).embedding
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_memories_are_dropped_when_they_are_not_asked_for() -> None:
    s, model = stream("vit"), encoder(passes=2, readout="attention")
    full, lean = model(collate([s])), model(collate([s]), memories=False)
    torch.testing.assert_close(full.embedding, lean.embedding)
    kept = lean.memories[0].keys()
    assert set(program_of(s.structure).outputs) <= kept
    assert len(kept) < len(full.memories[0])


def test_any_multiplicity_is_encoded_per_kind() -> None:
    nets = [nn.Conv1d(2, 3, k) for k in (1, 2, 5, 9, 16, 31)]
    streams = [compiled(nn.Sequential(net, nn.ReLU(), nn.Conv1d(3, 2, 1)), "1x2x40") for net in nets]
    model = encoder()
    out = model(collate(streams)).embedding
    assert out.shape == (6, 8)
    for position, s in enumerate(streams):
        state = dict(s.state_dict())
        moved = s.bind(state | {"0.weight": state["0.weight"].flip(-1)})
        other = model(collate([moved])).embedding[0]
        if state["0.weight"].shape[-1] > 1:
            assert (other - out[position]).norm() > 1e-5, "where an edge stands in the kernel matters"


def test_options_change_what_they_should() -> None:
    relu, tanh = (compiled(mlp(3, 5, 2, activation=a), "1x3") for a in (nn.ReLU, nn.Tanh))
    tanh = tanh.bind(relu.state_dict())
    blind, seeing = (
        encoder(activation_embeddings=on)(collate([relu, tanh])).embedding for on in (False, True)
    )
    torch.testing.assert_close(blind[0], blind[1])
    assert (seeing[0] - seeing[1]).norm() > 1e-3


def test_dropout_acts_in_training_only() -> None:
    model, batch = encoder(dropout=0.5), collate([stream("mlp")])
    assert not torch.equal(model(batch).embedding, model(batch).embedding)
    model.eval()
    assert torch.equal(model(batch).embedding, model(batch).embedding)


@pytest.mark.parametrize("parameters", ["per_step", "per_kind"])
def test_state_dicts_and_pickles_round_trip(parameters: str) -> None:
    s = stream("cnn")
    config = SMALL.for_stream(s) if parameters == "per_step" else SMALL
    one, other = encoder(config), encoder(config, seed=1)
    expected = one(collate([s])).embedding
    other.load_state_dict(one.state_dict())
    assert torch.equal(other(collate([s])).embedding, expected)
    assert torch.equal(pickle.loads(pickle.dumps(one))(collate([s])).embedding, expected)


# Dynamo itself looks at .grad of every tensor that it meets.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_it_runs_under_torch_compile() -> None:
    batch = collate([compiled(mlp(3, 2), "1x3")])
    model = encoder()
    fast = torch.compile(model, backend="eager")
    got, expected = fast(batch).embedding, model(batch).embedding
    torch.testing.assert_close(got, expected)
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = [
        torch.autograd.grad(out[:, 0].sum(), parameters, materialize_grads=True) for out in (got, expected)
    ]
    assert sum(float(gradient.abs().sum()) for gradient in gradients[1]) > 0
    for compiled_one, eager in zip(*gradients, strict=True):
        torch.testing.assert_close(compiled_one, eager)


def test_an_encoder_learns() -> None:
    """Tell networks with large weights in the last layer from others: a few steps lower the loss."""
    s = stream("mlp")
    state = s.state_dict()
    batch = collate([s.bind(state | {"4.weight": state["4.weight"] * k}) for k in (1.0, 1.5, 2.0, 2.5)])
    model, head = encoder(), nn.Linear(8, 1)
    optimiser = torch.optim.Adam([*model.parameters(), *head.parameters()], 1e-2)
    losses = []
    for _ in range(30):
        loss = (head(model(batch).embedding).squeeze(1) - torch.arange(4.0)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


def test_what_does_not_go_together_is_said() -> None:
    with pytest.raises(StructureError, match="at least one event stream"):
        collate([])
    with pytest.raises(EncoderError, match="names none"):
        DNGEncoder(DNGConfig(parameters="per_step"))
    with pytest.raises(EncoderError, match="hidden must be at least 1"):
        DNGConfig(hidden=0)
    with pytest.raises(EncoderError, match="another architecture"):
        encoder(SMALL.for_stream(stream("mlp")))(collate([stream("cnn")]))
    sizes = [compiled(mlp(3, 4, n), "1x3") for n in (2, 3)]
    model = encoder(SMALL.for_stream(sizes[0]))
    with pytest.raises(EncoderError, match="different widths"):
        model(collate(sizes))


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, wsgraph_encoders; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_programs_are_shared_and_drop_dead_blocks() -> None:
    s = doubled(stream("densenet"))
    program = program_of(s.structure)
    assert program is program_of(stream("densenet").structure)
    dead = [block for step in program.steps for block in step.dead]
    assert len(dead) == len(set(dead)) == len(s.node_blocks) - 1


def test_projections_encoded_together_are_those_encoded_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = encoder(passes=2)
    program = program_of(stream("vit").structure)
    assert max(len(bundle) for bundle in program.bundles) == 3, "q, k and v"
    together = model(collate([stream("vit")] * 2))
    alone = replace(program, bundles=tuple((step,) for step in program.steps))
    monkeypatch.setattr(batch, "program_of", lambda _: alone)
    apart = model(collate([stream("vit")] * 2))
    for block, memory in apart.memories[1].items():
        torch.testing.assert_close(together.memories[1][block], memory, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.embedding, apart.embedding, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["vit", "cnn"])
def test_what_is_worked_out_ahead_does_not_depend_on_how_far(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = encoder(passes=2)
    networks = collate([stream(name)] * 2)
    whole = model(networks)
    monkeypatch.setattr(passes, "_STRETCH", 1)
    stepwise = model(networks)
    for block, memory in stepwise.memories[1].items():
        torch.testing.assert_close(whole.memories[1][block], memory, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(whole.embedding, stepwise.embedding, rtol=1e-4, atol=1e-5)
