"""Laws of the counts: any order, cut or lateness gives the sums of the bins themselves, steps and peaks included."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.processors.count_panes import (
    ARRIVALS,
    COMPLETIONS,
    DURATION_US,
    FAILURES,
    PEAK_1S,
    REQUEST_TOKENS,
    RESPONSE_TOKENS,
    SQUARES_1S,
    SQUARES_10S,
    SQUARES_100MS,
    STEPS_1S,
    STEPS_10S,
    STEPS_100MS,
    TIMED,
    CountPanes,
)

SECOND = 1_000_000
PANE = 10 * SECOND
BASE = 1000  # the pane the streams begin in
LENGTHS = [1, 3, 6]

TIME = st.integers(0, 8 * PANE - 1) | st.integers(0, 8).map(lambda pane: max(pane * PANE - 1, 0))
ARRIVAL = st.tuples(TIME, st.integers(1, 3))
COMPLETION = st.tuples(
    TIME, st.integers(1, 3), st.booleans(), st.integers(0, 2**36), st.integers(0, 99), st.booleans(), st.integers(0, 9)
)
BATCH = st.lists(ARRIVAL, max_size=12) | st.lists(COMPLETION, max_size=12)


def add(panes: CountPanes, batch: list) -> None:
    if not batch:
        return
    time, column, *values = (np.array(values, np.int64) for values in zip(*batch, strict=True))
    if values:
        failed, *others = values
        panes.add_completions(time + BASE * PANE, column, failed > 0, others)
    else:
        panes.add_arrivals(time + BASE * PANE, column)


def bins(times: list[int], width: int, start: int, end: int) -> list[int]:
    counts = Counter(time // width for time in times)
    return [counts[i] for i in range(start // width, end // width)]


def expected(batches: list[list], end: int, length: int) -> dict:
    """The numbers of the panes [end - length, end), per column and for the total (column 0)."""
    events = [event for batch in batches for event in batch]
    first = min(event[0] for event in events) // PANE
    start = max(end - length, first) * PANE
    found = {}
    for column in range(4):
        mine = [e for e in events if column in (0, e[1]) and start <= e[0] < end * PANE]
        arrivals = [e[0] for e in mine if len(e) == 2]
        ended = [e[2:] for e in mine if len(e) > 2]
        seconds, tens = (bins(arrivals, width, start, end * PANE) for width in (SECOND, PANE))
        found[column] = {
            ARRIVALS: len(arrivals),
            COMPLETIONS: len(ended),
            FAILURES: sum(e[0] for e in ended),
            REQUEST_TOKENS: sum(e[1] for e in ended),
            RESPONSE_TOKENS: sum(e[2] for e in ended),
            TIMED: sum(e[3] for e in ended),
            DURATION_US: sum(e[4] for e in ended),
            SQUARES_1S: sum(n * n for n in seconds),
            SQUARES_10S: sum(n * n for n in tens),
            STEPS_1S: sum((b - a) ** 2 for a, b in pairwise(seconds)),
            STEPS_10S: sum((b - a) ** 2 for a, b in pairwise(tens)),
            PEAK_1S: max(seconds),
        }
    everyone = [e[0] for e in events if len(e) == 2 and start <= e[0] < end * PANE]
    tenths = bins(everyone, SECOND // 10, start, end * PANE)
    found["tenths"] = {
        SQUARES_100MS: sum(n * n for n in tenths),
        STEPS_100MS: sum((b - a) ** 2 for a, b in pairwise(tenths)),
    }
    return found | {"panes": end - start // PANE}


@given(st.lists(st.tuples(BATCH, st.integers(0, 8)), min_size=1, max_size=6), st.booleans())
@settings(max_examples=120, deadline=None)
def test_late_events_amend_every_sum_as_if_they_had_been_on_time(steps, restored):
    """Batches in any order; before each, panes up to some point have been closed already."""
    panes = CountPanes(columns=4, keep=LENGTHS[-1])
    panes.closed_to = BASE
    if not any(batch for batch, _ in steps):
        return
    for batch, closed in steps:
        for pane in range(panes.closed_to, BASE + closed):
            panes.close(pane)
        add(panes, batch)
        if restored:
            again = CountPanes(columns=4, keep=LENGTHS[-1])
            again.load(*panes.dump(4))
            panes = again
    for pane in range(panes.closed_to, BASE + 8):
        panes.close(pane)
        batches = [batch for batch, _ in steps]
        end = pane + 1 - BASE
        if min(e[0] for batch in batches for e in batch) // PANE >= end:
            continue  # nothing was known yet
        for length, sums in zip(LENGTHS, panes.sums(pane + 1, LENGTHS), strict=True):
            wanted = expected(batches, end, length)
            assert sums.panes == wanted["panes"]
            for column in range(4):
                got = {row: int(sums.counts[row, column]) for row in wanted[column]}
                assert got == wanted[column], (end, length, column)
            assert {row: int(sums.tenths[row]) for row in wanted["tenths"]} == wanted["tenths"]


@given(st.lists(BATCH, min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_each_second_of_a_pane_has_its_arrivals_endings_and_failures(batches):
    panes = CountPanes(columns=4, keep=6)
    for batch in batches:
        add(panes, batch)
    events = [event for batch in batches for event in batch]
    held = panes.panes_between(BASE, BASE + 9)
    assert held == sorted({BASE + e[0] // PANE for e in events})
    for pane in held:
        span = ((pane - BASE) * PANE, (pane - BASE + 1) * PANE)
        ended, failed = panes.endings(pane)
        assert panes.seconds(pane) == bins([e[0] for e in events if len(e) == 2], SECOND, *span)
        assert ended == bins([e[0] for e in events if len(e) > 2], SECOND, *span)
        assert failed == bins([e[0] for e in events if len(e) > 2 and e[2]], SECOND, *span)


def test_a_ring_restored_for_longer_windows_covers_what_it_has():
    """An hour's window after a restart from one of 60 s: known is only what the old ring kept."""
    old = CountPanes(columns=4, keep=6)
    for pane in range(BASE, BASE + 20):
        add(old, [((pane - BASE) * PANE + 1, 1)])
        old.close(pane)
    new = CountPanes(columns=4, keep=360)
    new.load(*old.dump(4))
    assert [sums.panes for sums in new.sums(BASE + 20, [1, 6, 360])] == [1, 6, 6]
    add(new, [(20 * PANE, 1)])
    new.close(BASE + 20)
    (sums,) = new.sums(BASE + 21, [360])
    assert (sums.panes, sums.counts[ARRIVALS, 1], sums.counts[STEPS_10S, 1]) == (7, 7, 0)
