"""Other names of operators, and operators made of others, are lowered as what they consist of."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import nn

import wsgraph
from tests.compiler.nets import two_layers
from wsgraph.compiler import trace
from wsgraph.rewrites.decompose import decompose
from wsgraph.testing import assert_ledger, assert_wiring


def two(join):
    torch.manual_seed(0)
    return two_layers(join).double(), torch.randn(2, 6, dtype=torch.double)


COMPOSED = {
    "tensordot": lambda m, a, _: torch.tensordot(a, m.v, dims=([-1], [0])),
    "multi_dot": lambda m, a, _: torch.linalg.multi_dot([a, m.v, m.v.t()]),
    "inner": lambda m, a, _: torch.inner(a, m.v),
    "outer": lambda _, a, b: torch.outer(a[0], b[0]),
    "vdot": lambda m, a, _: torch.vdot(a[0], m.w)[None] * a,
    "addr": lambda m, a, b: torch.addr(m.v, a[0], b[0]),
    "addmv": lambda m, a, _: torch.addmv(m.w, m.v, a[0]),
    "addbmm": lambda m, a, _: torch.addbmm(m.v[:2], a[None], m.v[None]),
    "solve": lambda m, a, _: torch.linalg.solve(m.v, a.t()),
    "kron": lambda m, a, _: torch.kron(a[0], m.w),
    "cosine_similarity": lambda m, a, _: F.cosine_similarity(a[:, None], m.v[None], dim=-1),
    "pairwise_distance": lambda _, a, b: F.pairwise_distance(a, b)[:, None],
    "cdist": lambda m, a, _: torch.cdist(a, m.v),
    "norm": lambda _, a, __: a / torch.linalg.norm(a, dim=-1, keepdim=True),
    "renorm": lambda _, a, __: torch.renorm(a, 2, 0, 1.0),
    "nansum": lambda _, a, b: a.nansum(-1, keepdim=True) * b,
    "aminmax": lambda _, a, b: torch.aminmax(a, dim=-1, keepdim=True)[0] * b,
    "quantile": lambda _, a, b: a.quantile(0.5, -1, keepdim=True) * b,
    "diff": lambda _, a, __: a.diff(),
    "gradient": lambda _, a, __: torch.gradient(a, dim=-1)[0],
    "trapezoid": lambda _, a, __: torch.trapezoid(a),
    "cross": lambda _, a, b: torch.linalg.cross(a[:, :3], b[:, :3]),
    "stacks": lambda _, a, b: torch.dstack([torch.vstack([a, b]), torch.vstack([b, a])]).flatten(1),
    "fliplr": lambda m, a, _: torch.fliplr(a) * m.w,
    "max_unpool": lambda _, a, __: F.max_unpool1d(*F.max_pool1d(a[:, None], 2, return_indices=True), 2),
}


@pytest.mark.parametrize("join", COMPOSED.values(), ids=COMPOSED)
def test_composed_operators_are_wired_and_lose_no_parameter(join):
    model, x = two(join)
    assert_ledger(model, x)
    assert_wiring(model, x)


SECOND_NAMES = {
    "multiply": (lambda m, a, _: torch.multiply(a, m.w), lambda m, a, _: a * m.w),
    "multiply_": (lambda _, a, b: a.multiply_(b), lambda _, a, b: a.mul_(b)),
    "divide": (lambda m, a, _: torch.divide(a, m.w), lambda m, a, _: a / m.w),
    "true_divide": (lambda m, a, _: torch.true_divide(a, m.w), lambda m, a, _: a / m.w),
    "subtract": (lambda _, a, b: torch.subtract(a, b), lambda _, a, b: a - b),
    "absolute": (lambda _, a, __: torch.absolute(a), lambda _, a, __: a.abs()),
    "negative": (lambda _, a, b: torch.negative(a) + b, lambda _, a, b: -a + b),
    "concatenate": (lambda _, a, b: torch.concatenate([a, b], -1), lambda _, a, b: torch.cat([a, b], -1)),
    "special_expit": (lambda _, a, __: torch.special.expit(a), lambda _, a, __: a.sigmoid()),
    "clip": (lambda _, a, __: a.clip(0, 6), lambda _, a, __: a.clamp(0, 6)),
}


@pytest.mark.parametrize(("alias", "plain"), SECOND_NAMES.values(), ids=SECOND_NAMES)
def test_a_second_name_gives_the_same_graph(alias, plain):
    first, second = (wsgraph.compile(*two(join)) for join in (alias, plain))
    assert first.fingerprint == second.fingerprint


def test_only_what_comes_down_to_lowered_operators_is_taken_apart():
    model, x = two(lambda _, a, b: torch.cosine_similarity(a, b))
    program = torch.export.export(model, (x,))
    whole = [op.key for op in decompose(graph_of(program), lambda op: op.key == "aten.linear").ops]
    assert whole == ["aten.linear", "aten.linear", "aten.cosine_similarity"]
    parts = [op.key for op in decompose(graph_of(program), lambda op: op.key != "aten.cosine_similarity").ops]
    assert parts[:2] == ["aten.linear", "aten.linear"]
    assert "aten.cosine_similarity" not in parts
    assert {"aten.mul", "aten.div"} <= set(parts)


def test_parts_keep_the_place_and_have_names_of_their_own():
    model, x = two(lambda m, a, b: torch.cdist(a, m.v) + torch.cdist(b, m.v))
    graph = trace(nn.Sequential(model), x)
    names = [value.name for op in graph.ops for value in op.outputs]
    assert len(set(names)) == len(names)
    assert {op.scope for op in graph.ops if op.key == "aten.linalg_vector_norm"} == {"0"}


def graph_of(program):
    from wsgraph.frontends.torch_export import graph_from_program

    return graph_from_program(program)
