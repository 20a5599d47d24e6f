"""Real traces beside what others measured on them; each test skips where the data are not at hand."""

import json

import numpy as np
import pytest

from tests.support.shared_data import shared
from workload.analyse.analysis import Options, analyse
from workload.analyse.compare import compare
from workload.trace.read import read_trace

CONVERSATION = "burstgpt/burstgpt3_conv_first314_v2schema_partial.csv"


@pytest.fixture(scope="module")
def azure():
    return analyse(read_trace(shared("azure/AzureLLMInferenceTrace_code.csv")))


def test_azures_code_trace_is_as_bursty_as_published(azure):
    overall = azure.burstiness.overall
    assert (azure.file.rows, azure.file.absolute, azure.file.whole_seconds) == (8819, True, False)
    n, c2 = overall.gaps, overall.cv**2
    plain = (c2 * (n - 1) / (n + c2)) ** 0.5  # without the correction for finite size, as published
    assert plain == pytest.approx(13.15, abs=0.01)
    assert overall.method == "mle"
    assert overall.misfit < -3  # no Gamma law: the many short gaps and the few long ones say different things
    assert azure.burstiness.cv_above_one_ratio == 1
    assert azure.burstiness.wins["weibull"] + azure.burstiness.wins["lognormal"] == 1
    assert azure.dispersion.scales["idc"] == sorted(azure.dispersion.scales["idc"])  # it does not average out
    assert azure.bursts.n > 10
    assert azure.failures.ratio == 0
    assert azure.lengths.request.max == 7437


def test_burstgpts_first_conversations_are_as_published():
    found = analyse(read_trace(shared(CONVERSATION)))
    sessions = found.sessions
    assert (sessions.requests, sessions.sessions, sessions.gap_s.n) == (314, 108, 206)
    assert sessions.gap_s.quantiles["p50"] == pytest.approx(123, abs=1)
    assert sessions.shrinks_ratio * 206 == pytest.approx(23)
    assert sessions.turns.quantiles["p50"] == 2
    # The whole file's figures, of which these are 0.1 %: near, not equal.
    facts = json.loads(shared("burstgpt/burstgpt_measured_facts.json").read_text())["burstgpt3_sessions"]
    assert sessions.turns_pmf[:4] == pytest.approx(facts["turns"]["pmf_1_to_10"][:4], abs=0.05)
    assert sessions.growth_tokens["p50"] == pytest.approx(facts["per_turn_growth"]["p50"], rel=0.05)
    assert sessions.gap_s.lognormal.mu == pytest.approx(facts["inter_turn_gap_s"]["lognormal_mu"], abs=0.3)
    assert found.file.origin.endswith("Wednesday")
    thursdays = [i for i, rate in enumerate(found.rate.weekday) if rate is not None]
    assert thursdays[0] == 3  # day 225 after Wednesday, 2023-11-01: Thursday, 2024-06-13


def test_the_first_failure_of_burstgpt_is_found():
    found = analyse(read_trace(shared("burstgpt/burstgpt1_first30_rows.csv")))
    assert (found.file.rows, found.failures.failed) == (30, 1)
    assert found.failures.by_model["name"] == ["ChatGPT", "GPT-4"]
    assert found.failures.by_model["failed"].tolist() == [1, 0]
    assert found.lengths.response.n == 29
    assert found.lengths.failed_request.n == 1


def test_ragpulses_sessions_and_lengths():
    found = analyse(read_trace(shared("ragpulse/0_trace.jsonl")), Options(day_zero_weekday=None))
    assert (found.file.rows, found.sessions.sessions) == (7106, 3990)
    assert found.rate.weekday == [None] * 7
    assert found.burstiness.overall.method == "triangular"
    assert found.relation.n == 7106


def test_two_real_traces_differ_in_all_that_can_differ():
    told = compare(read_trace(shared("azure/AzureLLMInferenceTrace_code.csv")), read_trace(shared(CONVERSATION)))
    assert told.all.differences["response_tokens"].ks > 0.6
    assert told.all.numbers["alpha"].ratio is None  # two methods: not to be compared
    assert told.all.alpha_methods == ("mle", "triangular")
    assert any("whole seconds" in note for note in told.notes)
    assert np.isnan(told.all.differences["elapsed_s"].quantiles["a"]).all()
