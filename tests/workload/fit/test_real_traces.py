"""Fit, generate, compare, on the real traces: what is drawn is like what was seen, within bounds seen to hold."""

import numpy as np
import pytest

from tests.support.shared_data import shared
from workload.fit.fit import Fit, FitOptions, fit
from workload.generate.from_model import generate
from workload.model.file import dump_model, load_model
from workload.trace.columns import Trace
from workload.trace.read import read_trace

AZURE = "azure/AzureLLMInferenceTrace_code.csv"
RAGPULSE = "ragpulse/0_trace.jsonl"
CONVERSATIONS = "burstgpt/burstgpt3_conv_first314_v2schema_partial.csv"


def closed(name: str, seed: int = 1) -> tuple[Trace, Fit, Trace]:
    trace = read_trace(shared(name))
    found = fit(trace, FitOptions())
    model = load_model(dump_model(found.model))
    made = generate(model, np.random.default_rng(seed), duration_s=trace.span_s, rate_per_s=len(trace) / trace.span_s)
    return trace, found, made


def ks(a: np.ndarray, b: np.ndarray) -> float:
    every = np.concatenate([a, b])
    below = [np.searchsorted(np.sort(x), every, side="right") / len(x) for x in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def lengths_apart(trace: Trace, made: Trace) -> tuple[float, float]:
    return ks(trace.request_tokens, made.request_tokens), ks(trace.response_tokens, made.response_tokens)


def kept_from_turn_to_turn(trace: Trace) -> float:
    """Return the correlation of the logarithms of a request's length and of the session's next."""
    rows = np.argsort(trace.session.codes, kind="stable")
    code, logs = trace.session.codes[rows], np.log(np.maximum(trace.request_tokens[rows], 1))
    same = (code[1:] == code[:-1]) & (code[1:] >= 0)
    return float(np.corrcoef(logs[1:][same], logs[:-1][same])[0, 1])


def window_cv(trace: Trace, window_s: int = 1200) -> float:
    """Return the median CV of the gaps in windows with 30 of them."""
    at_s = (
        (trace.submitted_us - trace.submitted_us[0]) // 1_000_000
        if trace.resolution_us > 1
        else (trace.submitted_us - trace.submitted_us[0]) / 1e6
    )
    window, gaps = (at_s[1:] // window_s).astype(int), np.diff(at_s)
    found = [gaps[window == i] for i in np.unique(window)]
    return float(np.median([x.std(ddof=1) / x.mean() for x in found if len(x) >= 30]))


def test_azure_code():
    trace, found, made = closed(AZURE)
    assert max(lengths_apart(trace, made)) < 0.03
    assert len(made) == pytest.approx(len(trace), abs=1)
    # No family of gaps is like these, with CV 11.6 in the median window: drawn from families they were 0.3 apart.
    assert found.model.classes[0].arrivals.family == "empirical"
    assert window_cv(trace) == pytest.approx(11.6, abs=0.1)
    for seed in range(3):
        made = generate(found.model, np.random.default_rng(seed), duration_s=trace.span_s)
        assert len(made) == pytest.approx(len(trace), abs=2)  # without a rate the model's own is met, too
        assert window_cv(made) == pytest.approx(11.6, rel=0.15)
        gaps = [np.diff(one.submitted_us) for one in (trace, made)]
        assert ks(*(one / one.mean() for one in gaps)) < 0.1


def test_ragpulse():
    trace, found, made = closed(RAGPULSE)
    request, response = lengths_apart(trace, made)
    assert request < 0.035  # drawn turn by turn, not from the quantiles of all
    assert np.quantile(made.request_tokens, 0.99) == pytest.approx(np.quantile(trace.request_tokens, 0.99), rel=0.1)
    assert kept_from_turn_to_turn(made) == pytest.approx(kept_from_turn_to_turn(trace), abs=0.06)
    assert response < 0.04
    assert ks(np.diff(trace.submitted_us), np.diff(made.submitted_us)) < 0.05
    assert window_cv(made) == pytest.approx(window_cv(trace), rel=0.1)
    assert len(found.model.classes[0].arrivals.profile) == 24


def test_the_conversations_of_burstgpt():
    trace, found, made = closed(CONVERSATIONS)
    request, response = lengths_apart(trace, made)
    noise = 1.36 * (2 / 314) ** 0.5  # the 5 % point for two samples of 314
    assert request < noise + 0.05
    assert response < noise
    assert found.model.classes[0].sessions.turns_max == 24
    assert found.classes[0].sessions.later_ratio == pytest.approx(206 / 314)
