"""The columns of a trace against plain lists of rows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workload.trace.columns import UNKNOWN, Labels, Trace, concatenate

_rows = st.lists(
    st.tuples(
        st.integers(0, 10**12),
        st.integers(-1, 5),
        st.none() | st.sampled_from(["a", "b", "c"]),
    ),
    max_size=30,
)


def _trace(rows):
    times = np.array([r[0] for r in rows], np.int64)
    return Trace.build(
        times, response_tokens=np.array([r[1] for r in rows], np.int32), model=Labels.of([r[2] for r in rows])
    )


def _back(trace):
    return list(zip(trace.submitted_us.tolist(), trace.response_tokens.tolist(), trace.model.values(), strict=True))


@settings(max_examples=25)
@given(_rows)
def test_rows_come_back_and_zero_response_tokens_are_a_failure(rows):
    trace = _trace(rows)
    assert _back(trace) == rows
    assert trace.failed.tolist() == [r[1] == 0 for r in rows]
    assert trace.request_tokens.tolist() == [UNKNOWN] * len(rows)


@settings(max_examples=25)
@given(_rows)
def test_sorting_is_by_time_and_stable(rows):
    assert _back(_trace(rows).sorted_by_time()) == sorted(rows, key=lambda r: r[0])


@settings(max_examples=25)
@given(_rows, _rows, st.integers(0, 30))
def test_traces_join_and_rows_are_taken_as_lists_would(left, right, cut):
    joined = concatenate([_trace(left), _trace(right)])
    assert _back(joined) == left + right
    assert _back(joined.take(slice(0, cut))) == (left + right)[:cut]
    mask = np.arange(len(joined)) % 2 == 0
    assert _back(joined.take(mask)) == (left + right)[::2]
    assert joined.model.is_in("a", "c").tolist() == [r[2] in {"a", "c"} for r in left + right]


def test_whole_seconds_are_noticed():
    assert _trace([(1_000_000, 1, None), (5_000_000, 1, None)]).resolution_us == 1_000_000
    assert _trace([(1_000_000, 1, None), (5_000_001, 1, None)]).resolution_us == 1
    assert _trace([]).resolution_us == 1
    assert _trace([]).span_s == 0.0
