"""Laws of the gap sums: any split gives the same bits, and no digit is lost to cancellation."""

import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.stats.gap_panes import EVENTS, LOGS, SQUARES, TOTAL, TOTAL_LOGS, WHOLE, ZEROS, GapPanes

PANE_US = 10_000_000
GAP = st.one_of(st.sampled_from([0, 1, 1000, 1_000_000, 1_000_000_000]), st.integers(0, 3_000_000))
EVENTS_IN_ORDER = st.lists(st.tuples(GAP, st.integers(1, 3)), min_size=1, max_size=120)


def fill(times: list[int], columns: list[int], cuts: set[int]) -> GapPanes:
    """Add events pane by pane, and cut at the given places, too."""
    panes = GapPanes(columns=4, keep=360)
    cuts |= {i + 1 for i, (a, b) in enumerate(pairwise(times)) if a // PANE_US != b // PANE_US}
    for low, high in pairwise([0, *sorted(cuts), len(times)]):
        if low < high:
            chunk = np.array(columns[low:high], np.uint16)
            panes.add(times[low] // PANE_US, np.array(times[low:high], np.int64), chunk)
    return panes


@given(EVENTS_IN_ORDER, st.sets(st.integers(1, 119)))
@settings(max_examples=100, deadline=None)
def test_any_split_gives_the_same_bits(events, cuts):
    times = (np.cumsum([gap for gap, _ in events]) + 50 * PANE_US).tolist()
    columns = [column for _, column in events]
    whole, split = fill(times, columns, set()), fill(times, columns, {c for c in cuts if c < len(times)})
    end = times[-1] // PANE_US + 1
    for a, b in zip(whole.sums(end, [1, 6, 360]), split.sums(end, [1, 6, 360]), strict=True):
        assert a.exact.tolist() == b.exact.tolist()
        assert a.logs.tolist() == b.logs.tolist()


@given(EVENTS_IN_ORDER, st.sampled_from([1, 6, 360]))
@settings(max_examples=100, deadline=None)
def test_a_windows_sums_are_those_of_the_gaps_inside_it(events, length):
    times = (np.cumsum([gap for gap, _ in events]) + 50 * PANE_US).tolist()
    columns = [column for _, column in events]
    end = times[-1] // PANE_US + 1
    (sums,) = fill(times, columns, set()).sums(end, [length])
    for column in range(4):
        inside = [t for t, c in zip(times, columns, strict=True) if column in (0, c) and t >= (end - length) * PANE_US]
        gaps = [b - a for a, b in pairwise(inside)]
        logs = [math.log(g / 1e6) for g in gaps if g]
        exact = sums.exact[:, column].tolist()
        assert exact[EVENTS] == len(inside)
        assert exact[WHOLE] == sum(t % 1_000_000 == 0 for t in inside)
        assert exact[ZEROS] == gaps.count(0)
        assert exact[TOTAL] == sum(gaps)
        assert exact[SQUARES] == sum(g * g for g in gaps)
        expected = [math.fsum(logs), math.fsum(g / 1e6 * math.log(g / 1e6) for g in gaps if g)]
        assert np.allclose(expected, sums.logs[[LOGS, TOTAL_LOGS], column], rtol=1e-12, atol=1e-12)


def test_a_thousand_idle_seconds_beside_millisecond_gaps_cost_no_digit():
    times = [50 * PANE_US + 1000 * i for i in range(500)]
    times += [times[-1] + 1_000_000_000 + 1000 * i for i in range(500)]
    (sums,) = fill(times, [1] * 1000, set()).sums(times[-1] // PANE_US + 1, [360])
    assert sums.exact[:, 1].tolist() == [
        1000,
        0 + sum(t % 1_000_000 == 0 for t in times),
        0,
        998 * 1000 + 10**9,
        998 * 10**6 + 10**18,
    ]
    expected = math.fsum([998 * math.log(1e-3), math.log(1000)])
    assert math.isclose(expected, sums.logs[LOGS, 1], rel_tol=1e-13)
