"""onnx's own tests: the imported graph gives the stored outputs."""

import pytest

from wsgraph.frontends.onnx.operators import load_all
from wsgraph.frontends.onnx.registry import operators, translation_for
from wsgraph.testing.onnx_cases import Case, folder_cases, judge, node_cases

LIGHT = {"light_squeezenet", "light_shufflenet", "light_inception_v2"}


def some_node_cases():
    """One case an operator, or node by node definition; the benchmark runs all."""
    seen = {}
    for case in node_cases():
        key = case.model.graph.node[0].op_type
        seen[key] = seen.get(key, 0) + 1
        if seen[key] == 1:
            yield case


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # onnx overflows on purpose to make its expectations
def test_operators():
    verdicts = {case.name: judge(case) for case in some_node_cases()}
    failed = {n: v.reason for n, v in verdicts.items() if v.state == "failed"}
    assert not failed
    assert sum(v.state == "passed" for v in verdicts.values()) > 150


@pytest.mark.parametrize("kind", ["simple", "pytorch-converted", "pytorch-operator"])
def test_models_that_ship_with_onnx(kind):
    verdicts = {case.name: judge(case) for case in folder_cases(kind)}
    assert not {n: v.reason for n, v in verdicts.items() if v.state == "failed"}
    assert sum(v.state == "passed" for v in verdicts.values()) >= 15


def test_light_models():
    verdicts = {case.name: judge(case) for case in folder_cases("light") if case.name in LIGHT}
    assert {n: v.state for n, v in verdicts.items()} == dict.fromkeys(LIGHT, "passed")


def test_the_judge_can_fail():
    case = next(c for c in folder_cases("pytorch-converted") if "Linear" in c.name)
    assert judge(case).state == "passed"
    wrong = Case(case.name, case.model, case.inputs, case.inputs)
    assert judge(wrong).state == "failed"


def test_the_newest_fitting_meaning_is_taken():
    load_all()
    names = {t.op_type for t in operators()}
    assert {"Conv", "Gemm", "LSTM", "Attention"} <= names
    old, new = translation_for("Softmax", "", 11), translation_for("Softmax", "ai.onnx", 13)
    assert (old.since, new.since) == (1, 13)
    assert translation_for("Conv", "acme", 17) is None
