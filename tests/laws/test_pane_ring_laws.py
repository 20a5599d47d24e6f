"""Laws of the ring: whatever is touched in whatever order, it holds the last panes and forgets the others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.stats.pane_ring import PaneRing

STEP = st.integers(-6, 3) | st.sampled_from([5, 8, 24, 40, 1000])


@given(st.sampled_from([1, 3, 8]), st.lists(st.tuples(STEP, st.integers(1, 9)), min_size=1, max_size=200), st.data())
@settings(max_examples=150, deadline=None)
def test_it_holds_the_last_panes_wherever_it_went(keep, steps, data):
    ring, newest, true = PaneRing(fields=1, columns=1, keep=keep, dtype=np.int64), 1000, {}
    stop = data.draw(st.integers(0, len(steps)))
    for i, (step, value) in enumerate(steps):
        pane = newest + step
        newest = max(newest, pane)
        if i == stop:
            again = PaneRing(fields=1, columns=1, keep=keep, dtype=np.int64)
            again.load(*ring.dump())
            ring = again
        if i and pane < ring.first:
            with pytest.raises(IndexError):
                ring.row(pane)
            continue
        ring.row(pane)[0, 0] += value
        true[pane] = true.get(pane, 0) + value
    end = max(true) + 1
    assert ring.first == end - keep
    for length in {1, 2, keep}:
        (sums,) = ring.sums(end, [length])
        expected = sum(true.get(pane, 0) for pane in range(end - min(length, keep), end) if pane >= ring.first)
        assert sums[0, 0] == expected
