"""Laws of the gap sums: any split gives the same bits, and no digit is lost to cancellation."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.stats.gap_panes import (
    EVENTS,
    FIRST_GAP,
    LOGS,
    PRODUCTS,
    SQUARES,
    TOTAL,
    TOTAL_LOGS,
    WHOLE,
    ZEROS,
    GapPanes,
    GapSums,
)

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
        assert a.last_gap.tolist() == b.last_gap.tolist()


def check(sums: GapSums, column: int, inside: list[int]) -> None:
    """``inside``: the times of the column's events in the window."""
    gaps = [b - a for a, b in pairwise(inside)]
    exact = sums.exact[:, column].tolist()
    assert exact[EVENTS] == len(inside)
    assert exact[TOTAL] == sum(gaps)
    assert exact[SQUARES] == sum(g * g for g in gaps)
    assert exact[PRODUCTS] == sum(a * b for a, b in pairwise(gaps))
    assert exact[FIRST_GAP] == (gaps[0] if gaps else 0)
    assert int(sums.last_gap[column]) == (gaps[-1] if gaps else 0)


@given(EVENTS_IN_ORDER, st.sets(st.integers(1, 119)), st.integers(0, 119))
@settings(max_examples=100, deadline=None)
def test_at_every_boundary_each_window_holds_what_lies_in_it_whole(events, cuts, stop):
    """Gaps, products of neighbours, first and last gap; with a snapshot on the way."""
    times = (np.cumsum([gap for gap, _ in events]) + 50 * PANE_US).tolist()
    columns = [column for _, column in events]
    panes = GapPanes(columns=2, keep=360, histograms=[6, 360])
    panes.widen(4)
    bounds = sorted({0, len(times)} | {c for c in cuts if c < len(times)})
    bounds = sorted({*bounds, *(i + 1 for i, (a, b) in enumerate(pairwise(times)) if a // PANE_US != b // PANE_US)})
    for low, high in pairwise(bounds):
        pane = times[low] // PANE_US
        before = times[low - 1] // PANE_US if low else pane - 1
        for end in {end for end in (pane, pane - 7) if before < end}:  # nothing at or after it was added yet
            for length, sums in zip((1, 6, 360), panes.sums(end, [1, 6, 360]), strict=True):
                for column in range(4):
                    known = zip(times[:low], columns[:low], strict=True)
                    inside = [t for t, c in known if column in (0, c) and (end - length) * PANE_US <= t < end * PANE_US]
                    check(sums, column, inside)
                    assert (sums.seconds is None) == (length == 1)
                    if sums.seconds is not None:
                        gaps = [(a, b - a) for a, b in pairwise(inside)]
                        whole = Counter(g // 1_000_000 for a, g in gaps if not (a % 1_000_000 or g % 1_000_000))
                        assert dict(zip(*(x.tolist() for x in sums.seconds.of(column)), strict=True)) == whole
        panes.add(pane, np.array(times[low:high], np.int64), np.array(columns[low:high], np.uint16))
        if low <= stop < high:
            first, arrays = panes.dump(4)
            panes = GapPanes(columns=8, keep=360, histograms=[6, 360])
            panes.load(first, arrays)


def test_an_hours_gaps_of_any_size_do_not_overflow():
    """Two halves of an hour: the greatest sums there can be."""
    start = 170_000_000 * PANE_US
    for times in ([start, start + 1, start + 1_799_999_999, start + 3_599_999_999], [start, start + 3_599_999_999]):
        for years in (0, 30 * 365 * 86_400_000_000):  # an idle service's last event weighs nothing
            past = [times[0] - years - 2, times[0] - years - 1] if years else []
            (sums,) = fill(past + times, [1] * len(past + times), set()).sums(times[-1] // PANE_US + 1, [360])
            check(sums, 1, times)


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
        check(sums, column, inside)
        exact = sums.exact[:, column].tolist()
        assert exact[WHOLE] == sum(t % 1_000_000 == 0 for t in inside)
        assert exact[ZEROS] == gaps.count(0)
        expected = [math.fsum(logs), math.fsum(g / 1e6 * math.log(g / 1e6) for g in gaps if g)]
        assert np.allclose(expected, sums.logs[[LOGS, TOTAL_LOGS], column], rtol=1e-12, atol=1e-12)


def test_a_thousand_idle_seconds_beside_millisecond_gaps_cost_no_digit():
    times = [50 * PANE_US + 1000 * i for i in range(500)]
    times += [times[-1] + 1_000_000_000 + 1000 * i for i in range(500)]
    (sums,) = fill(times, [1] * 1000, set()).sums(times[-1] // PANE_US + 1, [360])
    check(sums, 1, times)
    assert sums.exact[SQUARES, 1] == 998 * 10**6 + 10**18
    assert sums.exact[PRODUCTS, 1] == 996 * 10**6 + 2 * 10**12
    expected = math.fsum([998 * math.log(1e-3), math.log(1000)])
    assert math.isclose(expected, sums.logs[LOGS, 1], rel_tol=1e-13)
