"""Nothing about burstiness is silent: the proof finds what changed, the guard refuses it unless it was accepted."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.support.workload_traces import own_rate, renewal, rng
from workload.scale.guard import BurstinessChanged, expected_changes, judge, measured_changes
from workload.scale.methods import MODEL, SUPERPOSE, THIN, compress, superpose, thin
from workload.scale.proof import ks_distance, length_checks, prove_scaling
from workload.scale.remodel import remodel


def verdicts(proof):
    return {check.name: check.ok for check in proof.checks}


def test_compressing_and_the_model_pass_every_check():
    trace = renewal(n=20_000)
    rate = 2.2 * own_rate(trace)
    for made in (compress(trace, rate_per_s=rate), remodel(trace, rng(), rate_per_s=rate)):
        proof = prove_scaling(made, rate_per_s=rate)
        assert proof.ok, [check for check in proof.checks if check.ok is False]
        assert verdicts(proof)["cv"] is True
        assert verdicts(proof)["dispersion over 10 requests"] is True
        assert json.loads(json.dumps(proof.as_dict()))["ok"] is True


def test_thinning_and_superposing_bursts_are_found_out_and_the_rest_is_right():
    trace = renewal(n=40_000)
    for made, ratio in (
        (thin(trace, rng(), rate_per_s=own_rate(trace) / 3), 1 / 3),
        (superpose(trace, rng(), rate_per_s=own_rate(trace) * 3), 3),
    ):
        proof = prove_scaling(made, rate_per_s=own_rate(trace) * ratio)
        found = verdicts(proof)
        assert not proof.ok
        assert found["cv"] is False
        assert found["alpha"] is False
        assert found["rate_per_s"] is True
        assert found["KS of request_tokens"] is True
        assert {check.name for check in measured_changes(proof)} >= {"cv"}


def test_poisson_traffic_may_be_thinned_and_superposed():
    trace = renewal(n=20_000, alpha=1.0)
    assert expected_changes(trace, THIN, copies=1, keep=0.3, tolerance=0.1) == []
    assert expected_changes(trace, SUPERPOSE, copies=4, keep=1.0, tolerance=0.1) == []
    made = thin(trace, rng(), rate_per_s=own_rate(trace) / 3)
    assert measured_changes(prove_scaling(made, rate_per_s=own_rate(trace) / 3)) == []


def test_a_change_is_foreseen_before_any_work_and_named_with_the_way_that_keeps():
    trace = renewal(n=20_000)
    changes = expected_changes(trace, THIN, copies=1, keep=1 / 3, tolerance=0.1)
    assert changes[0].name == "cv"
    with pytest.raises(BurstinessChanged) as caught:
        judge(changes, THIN, accepted=False, will=True)
    said = str(caught.value)
    assert said.startswith("--by thin would change the burstiness: CV of the gaps from 2.0")
    assert "to 1.4" in said
    assert "--by model keeps it" in said
    assert "--accept-burstiness-change" in said
    assert "\n" not in said
    warning = judge(changes, THIN, accepted=True, will=True)
    assert warning is not None
    assert warning in said
    assert judge([], MODEL, accepted=False, will=False) is None


def test_a_wide_tolerance_lets_it_pass():
    trace = renewal(n=20_000)
    assert expected_changes(trace, SUPERPOSE, copies=3, keep=1.0, tolerance=0.5) == []


def test_lengths_that_are_others_are_found_out():
    trace = renewal(n=5000)
    other = replace(trace, request_tokens=trace.request_tokens * 2)
    found = {check.name: check.ok for check in length_checks(trace, other)}
    assert found["request_tokens p50"] is False
    assert found["KS of request_tokens"] is False
    assert found["KS of response_tokens"] is True


def test_the_distance_is_scipys():
    a, b = rng(1).normal(size=400), rng(2).normal(0.2, 1, 300)
    assert ks_distance(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)
    ties_a, ties_b = np.round(a), np.round(b)
    assert ks_distance(ties_a, ties_b) == pytest.approx(stats.ks_2samp(ties_a, ties_b).statistic)
    big = rng(3).normal(size=260_000)
    assert ks_distance(big, big + 0.1) == pytest.approx(stats.ks_2samp(big, big + 0.1).statistic, abs=1e-4)


def test_a_source_of_four_requests_proves_nothing_about_burstiness():
    source = renewal(n=4, alpha=0.2)
    made = remodel(source, rng(), rate_per_s=60 / source.span_s)
    found = {check.name: check for check in prove_scaling(made, rate_per_s=60 / source.span_s).checks}
    for name in ("cv", "alpha", "KS of the gaps over their mean"):
        assert found[name].ok is None, found[name]


def test_counts_in_seconds_are_beside_the_sources_only_where_the_rate_is_the_same():
    source = renewal(n=20_000)
    for factor, shown in ((1.0, True), (30.0, False)):
        rate = factor * own_rate(source)
        checks = {
            check.name: check for check in prove_scaling(compress(source, rate_per_s=rate), rate_per_s=rate).checks
        }
        assert ("dispersion at 10 s" in checks) == shown
        assert checks["dispersion over 10 requests"].target is not None
        if shown:
            assert checks["dispersion at 10 s"].realised == pytest.approx(checks["dispersion at 10 s"].target, rel=0.05)
