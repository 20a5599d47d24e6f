"""Laws of the sparse panes: windows equal a plain count, whatever the order, the cut, the restarts, the holes."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.stats import sparse_panes
from streams.stats.sparse_panes import SparsePanes

KEYS = 50
LENGTHS = (1, 6, 30)
LATE = 6
FIRST = 170_000_000
COUNT = st.tuples(
    st.integers(-LATE, 40) | st.integers(-40, 10_000), st.integers(0, 5), st.integers(0, 3) | st.integers(0, 49)
)
STEP = st.tuples(
    st.lists(COUNT, max_size=30),
    st.sampled_from([0, 1, 1, 1, 2, 7, 31, 5000]),
    st.booleans(),  # whether it is stopped and restored here
)


def added(panes: SparsePanes, counts: list[tuple[int, int, int]]) -> int:
    columns = [np.array([count[i] for count in counts], np.int64) for i in range(3)]
    return panes.add(*columns)


def restored(panes: SparsePanes, lengths=LENGTHS) -> SparsePanes:
    arrays = panes.dump("x")
    other = SparsePanes(keys=KEYS, lengths=lengths)
    other.load(arrays, "x")
    return other


def held(panes: SparsePanes) -> list[dict[int, int]]:
    found = []
    for length in LENGTHS:
        _, cells, counts = panes.window(length)
        assert (np.diff(cells) > 0).all()
        assert (counts > 0).all()
        found.append(dict(zip(cells.tolist(), counts.tolist(), strict=True)))
    return found


def expected(seen: list[tuple[int, int, int]], end: int) -> list[dict[int, int]]:
    return [dict(Counter(c * KEYS + k for pane, c, k in seen if end - n <= pane < end)) for n in LENGTHS]


@given(st.lists(STEP, min_size=1, max_size=12))
@settings(max_examples=150, deadline=None)
def test_every_window_is_a_plain_count_of_what_lies_in_it(steps):
    panes, end, seen = SparsePanes(keys=KEYS, lengths=LENGTHS), FIRST, []
    panes.move(end)
    for counts, forward, stopped in steps:
        here = [(end + at, column, key) for at, column, key in counts]
        assert added(panes, here) == 0
        # Later than the longest window: left out, as no window from here on can hold it.
        seen += here
        assert held(panes) == expected(seen, end)
        end += forward
        panes.move(end)
        if stopped:
            panes = restored(panes)
        assert held(panes) == expected(seen, end)


@given(st.lists(COUNT, min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=5), st.randoms())
@settings(max_examples=80, deadline=None)
def test_any_cut_and_order_leaves_the_same_state(counts, cuts, random):
    whole, cut = (SparsePanes(keys=KEYS, lengths=LENGTHS) for _ in range(2))
    for panes in (whole, cut):
        panes.move(FIRST)
    counts = [(FIRST + at, column, key) for at, column, key in counts]
    added(whole, counts)
    random.shuffle(counts)
    bounds = [0, *sorted(cuts), len(counts)]
    for low, high in zip(bounds, bounds[1:], strict=False):
        added(cut, counts[low:high])
    for end in (FIRST + 3, FIRST + 20, FIRST + 60):
        for panes in (whole, cut):
            panes.move(end)
        assert held(whole) == held(cut)
        a, b = whole.dump("x"), cut.dump("x")
        assert {name: array.tolist() for name, array in a.items()} == {n: array.tolist() for n, array in b.items()}


def test_restored_with_other_lengths_it_keeps_what_it_knows():
    panes = SparsePanes(keys=KEYS, lengths=LENGTHS)
    panes.move(FIRST)
    added(panes, [(FIRST + at, 1, at) for at in range(30)])
    panes.move(FIRST + 30)
    shorter = restored(panes, lengths=(2, 6))
    assert shorter.window(2).of(1)[0].tolist() == [28, 29]
    longer = restored(panes, lengths=(6, 60))
    assert longer.window(60).counts.tolist() == [1] * 30


def test_what_lies_ahead_is_bounded_in_panes_and_the_earliest_stay():
    panes = SparsePanes(keys=KEYS, lengths=LENGTHS)
    panes.move(FIRST)
    years = [(FIRST + 400_000 * i, 1, 3) for i in range(30_000)]
    dropped = added(panes, years[10_000:]) + added(panes, years[:10_000])
    assert dropped == 30_000 - sparse_panes.AHEAD_PANES_MAX
    panes.move(FIRST + 400_000 * 8191 + 1)
    assert panes.window(1).counts.tolist() == [1]
    panes.move(FIRST + 400_000 * 8192 + 1)
    assert panes.window(30).counts.tolist() == []
    assert len(panes._panes) == 0


def test_what_lies_ahead_is_bounded_in_cells_however_often_it_is_restored(monkeypatch):
    monkeypatch.setattr(sparse_panes, "AHEAD_CELLS_MAX", 100)
    rng = np.random.default_rng(1)
    plain, stopped = (SparsePanes(keys=KEYS, lengths=LENGTHS) for _ in range(2))
    for panes in (plain, stopped):
        panes.move(FIRST)
    dropped = [0, 0]
    for _ in range(60):
        counts = [(FIRST + int(at), 1, int(key)) for at, key in rng.integers(0, [20, KEYS], (7, 2))]
        dropped[0] += added(plain, counts)
        dropped[1] += added(stopped, counts)
        stopped = restored(stopped)
        assert sum(len(pane.cells) for pane in stopped._panes.values()) <= 100
    assert dropped[0] == dropped[1] > 0
    for end in range(FIRST + 1, FIRST + 22):
        plain.move(end)
        stopped.move(end)
        assert held(plain) == held(stopped)
    assert plain._ahead == stopped._ahead == 0


def test_what_was_counted_often_weighs_by_its_cells():
    """A pane of few cells takes any number of counts: the bound is on memory, not on traffic."""
    panes = SparsePanes(keys=KEYS, lengths=LENGTHS)
    panes.move(FIRST)
    many = np.full(200_000, FIRST, np.int64)
    for _ in range(12):
        assert panes.add(many, np.ones(200_000, np.int64), np.arange(200_000) % KEYS) == 0
    panes.move(FIRST + 1)
    assert panes.window(1).counts.tolist() == [48_000] * KEYS


def test_dropping_what_lies_ahead_leaves_the_windows_alone():
    panes = SparsePanes(keys=KEYS, lengths=LENGTHS)
    added(panes, [(FIRST + at, 1, 0) for at in range(20)])
    panes.move(FIRST + 10)
    panes.drop_from(FIRST + 5)
    assert panes.window(30).counts.tolist() == [10]
    panes.move(FIRST + 20)
    assert panes.window(30).counts.tolist() == [10]


def test_cells_long_gone_are_forgotten():
    panes = SparsePanes(keys=10_000, lengths=LENGTHS)
    for at in range(200):
        added(panes, [(FIRST + at, 1, at * 50 + i) for i in range(50)])
        panes.move(FIRST + at + 1)
    assert len(panes._cells) < 2 * 30 * 50 + 64
    assert len(panes._panes) == 30


@pytest.mark.parametrize(
    "broken",
    [
        {"x_counts": np.zeros(3, np.int64)},
        {"x_end": np.zeros(0, np.int64)},
        {"x_sizes": np.array([5], np.int64)},
        {"x_panes": np.array([1, 2, 3], np.int64)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(broken):
    panes = SparsePanes(keys=KEYS, lengths=LENGTHS)
    added(panes, [(FIRST, 1, 0), (FIRST + 1, 1, 0)])
    with pytest.raises((ValueError, LookupError)):
        SparsePanes(keys=KEYS, lengths=LENGTHS).load(panes.dump("x") | broken, "x")
