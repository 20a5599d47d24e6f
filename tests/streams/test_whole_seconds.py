"""Stamps cut to whole seconds: every window's numbers follow from its own gaps and counts, by the method that suits."""

import random
from collections import Counter
from itertools import pairwise
from math import isclose, sqrt

import pytest

from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from streams.stats.cv import squared_cv
from streams.stats.gamma_fit import BinnedCounts, fit_whole_seconds
from tests.support.service_messages import KEYS, SECOND, SERVICE, START, Agent, apply_all, arrival

SPAN_S = 1200
WINDOWS = (60, 300, 1200)


def stamps(rate: float, shape: float, seed: int) -> list[int]:
    """Gamma gaps, cut to whole seconds, from 0 to the end of the longest window."""
    random_, at, found = random.Random(seed), 0.0, []
    while (at := at + random_.gammavariate(shape, 1 / shape / rate)) < SPAN_S:
        found.append(int(at))
    return found


def windows_of(seconds: list[int]) -> dict:
    state, agent = ServiceState(SERVICE, AnalysisSettings(windows_s=WINDOWS)), Agent()
    events = [arrival(START + s * SECOND, KEYS[i % 2]) for i, s in enumerate(seconds)]
    messages = [agent.message(events[low : low + 500]) for low in range(0, len(events), 500)]
    apply_all(state, [*messages, agent.message(watermark=START + (SPAN_S + 2) * SECOND)])
    return {key: row.windows for key, row in state.latest.items()}


@pytest.mark.parametrize(
    ("rate", "methods"),
    [
        (0.3, {60: {None}, 300: {"triangular"}, 1200: {"triangular"}}),
        (1.5, {60: {None}, 300: {"triangular"}, 1200: {"triangular"}}),
        (8.0, {60: {"dispersion"}, 300: {"dispersion"}, 1200: {"dispersion"}}),
    ],
)
def test_each_window_is_fitted_to_its_own_gaps_and_counts(rate, methods):
    seconds = stamps(rate, 0.5, seed=3)
    found = windows_of(seconds)
    classes = {("all", "all"): seconds, KEYS[0]: seconds[::2], KEYS[1]: seconds[1::2]}
    for key, mine in classes.items():
        for window_s in WINDOWS:
            stats = found[key][window_s]
            inside = [s for s in mine if s >= SPAN_S - window_s]
            gaps = [b - a for a, b in pairwise(inside)]
            if len(gaps) < 30:
                assert (stats.gamma_shape, stats.gamma_method, stats.memory) == (None, None, None)
                continue
            counts = Counter(inside)
            tens = Counter(s // 10 for s in inside)
            binned = [BinnedCounts(1, window_s, len(inside), sum(n * n for n in counts.values()))]
            binned += [BinnedCounts(10, window_s // 10, len(inside), sum(n * n for n in tens.values()))]
            squared = squared_cv(len(gaps), sum(gaps), sum(g * g for g in gaps))
            lengths = sorted(Counter(gaps).items()) if window_s >= 300 else None
            fit = fit_whole_seconds(
                len(gaps) / sum(gaps),
                squared,
                histogram=tuple(zip(*lengths, strict=True)) if lengths else None,
                binned=[b for b in binned if b.bins >= 30],
            )
            assert (fit is None) == (stats.gamma_shape is None)
            if fit is not None:
                assert stats.gamma_method == fit.method
                assert isclose(stats.gamma_shape, fit.shape, rel_tol=1e-9)
                assert isclose(stats.gamma_rate, fit.shape * len(gaps) / sum(gaps), rel_tol=1e-9)
            coarse = len(gaps) / sum(gaps) > 0.5
            assert (stats.memory is None) == coarse
            cv = (1 / sqrt(fit.shape) if fit else None) if coarse else sqrt(squared)
            assert stats.cv == cv if cv is None else isclose(stats.cv, cv, rel_tol=1e-9)
    assert {w: {found["all", "all"][w].gamma_method} for w in WINDOWS} == methods


def test_the_shape_is_right_where_the_plain_moments_are_far_off():
    """Eight events a second, CV 1.41: the moments of whole seconds make a shape of a third of it."""
    stats = windows_of(stamps(8.0, 0.5, seed=5))["all", "all"][1200]
    assert 0.35 < stats.gamma_shape < 0.7
    assert stats.gamma_shape_lower < 0.5 < stats.gamma_shape_upper
    assert isclose(stats.cv, 1 / sqrt(stats.gamma_shape))
