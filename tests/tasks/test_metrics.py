"""Scores against scipy, scikit-learn and torchmetrics; samples with counts against repeated models."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.regression import kendall_rank_corrcoef, r2_score

from wsgraph_encoders.tasks import metrics
from wsgraph_encoders.tasks.evaluate import verdict
from wsgraph_encoders.tasks.metrics import METRICS, bootstrap, tau_b
from wsgraph_encoders.tasks.task import Task

VALUES = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 3)), min_size=2, max_size=12
)


@given(VALUES)
def test_a_sample_scores_what_its_repeated_models_score(rows):
    predicted, true, counts = np.array(rows, dtype=float).T
    assume_enough = counts.sum() >= 2
    if not assume_enough:
        return
    repeated = [np.repeat(values, counts.astype(int)) for values in (predicted, true)]
    expected = scipy.stats.kendalltau(*repeated).statistic
    assert tau_b(predicted, true, counts[None])[0] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    if repeated[1].std() > 0:
        r2 = METRICS["r2"](predicted, true, counts[None])[0]
        assert r2 == pytest.approx(sklearn.metrics.r2_score(repeated[1], repeated[0]), abs=1e-9)
    mse = METRICS["mse"](predicted, true, counts[None])[0]
    assert mse == pytest.approx(((repeated[0] - repeated[1]) ** 2).mean())
    accuracy = METRICS["accuracy"](predicted, true, counts[None])[0]
    assert accuracy == pytest.approx((repeated[0] == repeated[1]).mean())


def test_pairs_in_blocks_are_all_pairs(monkeypatch):
    draw = np.random.default_rng(0)
    predicted, true = draw.normal(size=(2, 50))
    counts = draw.multinomial(50, np.full(50, 0.02), size=3).astype(float)
    whole = tau_b(predicted, true, counts)
    monkeypatch.setattr(metrics, "_ROWS", 7)
    assert tau_b(predicted, true, counts) == pytest.approx(whole, abs=1e-12)


def test_point_values_are_those_of_torchmetrics():
    draw = np.random.default_rng(1)
    true = draw.normal(size=30)
    predicted = true + draw.normal(size=30)
    tensors = torch.tensor(predicted), torch.tensor(true)
    assert bootstrap("tau", [predicted], true).mean == pytest.approx(float(kendall_rank_corrcoef(*tensors)))
    assert bootstrap("r2", [predicted], true).mean == pytest.approx(float(r2_score(*tensors)), rel=1e-6)


def test_the_interval_is_that_of_scipys_bootstrap():
    draw = np.random.default_rng(2)
    true = draw.normal(size=60)
    predicted = true + draw.normal(size=60)
    score = bootstrap("mse", [predicted], true, samples=4000)
    reference = scipy.stats.bootstrap(
        ((predicted - true) ** 2,), np.mean, n_resamples=4000, method="percentile", rng=3
    ).confidence_interval
    width = reference.high - reference.low
    assert score.low == pytest.approx(reference.low, abs=0.1 * width)
    assert score.high == pytest.approx(reference.high, abs=0.1 * width)


def test_seeds_are_averaged_and_draw_the_same_models():
    true = np.arange(10.0)
    score = bootstrap("mse", [true + 1, true + 3], true)
    assert score.seeds == (1, 9)
    assert score.mean == score.low == score.high == 5


def test_a_score_that_is_not_defined_is_nan_and_no_warning():
    score = bootstrap("tau", [np.ones(5)], np.arange(5.0))
    assert np.isnan([score.mean, score.low, score.high]).all()
    assert np.isnan(bootstrap("r2", [np.arange(5.0)], np.ones(5)).mean)


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ({"dng": 0.8, "static": 0.5, "flat": 0.2}, "best by tau: dng, 0.800, before static, 0.500"),
        (
            {"dng": 0.5, "static": 0.55},
            "a baseline wins: static has tau 0.550, dng 0.500; their intervals overlap",
        ),
        ({"dng": 0.2, "epoch": 0.9, "flat": None}, "a baseline wins: epoch has tau 0.900, dng 0.200"),
        ({"static": 0.3}, "best by tau: static, 0.300"),
        ({"dng": None}, "tau is not defined for any method"),
    ],
)
def test_the_verdict_says_when_a_baseline_wins(means, expected):
    scores = {
        method: {
            "tau": {"mean": mean, "low": mean and mean - 0.1, "high": mean and mean + 0.1, "seeds": [mean]}
        }
        for method, mean in means.items()
    }
    assert verdict(Task("accuracy", "acc"), scores) == expected
