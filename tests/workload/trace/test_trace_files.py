"""Traces read from files and written to them: the fast path says what the row readers say."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.schema.errors import OperatorError
from collector.schema.trace_rows import BURSTGPT_6, BURSTGPT_8
from tests.support.shared_data import shared
from workload.trace import read, write
from workload.trace.columns import LABELS, Labels, Trace
from workload.trace.fast_csv import read_fast
from workload.trace.fast_write import write_fast
from workload.trace.read import read_slowly, read_trace, rows_to_trace
from workload.trace.write import write_slowly, write_trace

ARRAYS = ("submitted_us", "elapsed_us", "first_token_us", "request_tokens", "response_tokens", "outcome")


def assert_same(a, b):
    for name in ARRAYS:
        assert getattr(a, name).tolist() == getattr(b, name).tolist(), name
        assert getattr(a, name).dtype == getattr(b, name).dtype, name
    for name in LABELS:
        assert getattr(a, name).values() == getattr(b, name).values(), name
    assert (a.resolution_us, a.absolute) == (b.resolution_us, b.absolute)


def fast(path):
    return read_fast(path, read._names(path))


@st.composite
def traces(draw):
    """Rows as a BurstGPT file can hold them: whole seconds or microseconds."""
    step = draw(st.sampled_from([1, 1_000, 1_000_000]))
    token = st.none() | st.sampled_from(["ChatGPT", "GPT-4", "a,b", 'q"q'])
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 10**14 // step).map(lambda t: t * step),
                st.integers(-1, 10**9),
                st.integers(-1, 2**31 - 1),
                st.integers(-1, 3),
                token,
                st.sampled_from([None, "API log", "Conversation log"]),
                st.none() | st.uuids().map(str),
            ),
            min_size=1,
            max_size=20,
        )
    )
    times, elapsed, request, response, model, log_type, session = zip(*rows, strict=True)
    return Trace.build(
        np.array(times, np.int64),
        elapsed_us=np.array(elapsed, np.int64),
        request_tokens=np.array(request, np.int32),
        response_tokens=np.array(response, np.int32),
        model=Labels.of(model),
        log_type=Labels.of(log_type),
        session=Labels.of(session),
    )


@settings(max_examples=12, deadline=None)
@given(trace=traces())
def test_both_writers_write_the_same_bytes_and_both_readers_read_them_back(tmp_path_factory, trace):
    folder = tmp_path_factory.mktemp("trace")
    quick, slow = folder / "fast.csv", folder / "slow.csv"
    write_fast(trace, quick)
    write_slowly(trace, slow)
    assert quick.read_bytes() == slow.read_bytes()
    again = fast(quick)
    if again is None:  # a comma inside quotes beside an empty last cell looks like a short line
        assert "a,b" in trace.model.names
    else:
        assert_same(again, trace)
    assert_same(read_slowly(quick), trace)


@pytest.mark.parametrize(
    "name",
    [
        "azure/AzureLLMInferenceTrace_code.csv",
        "burstgpt/burstgpt1_first30_rows.csv",
        "burstgpt/burstgpt3_first4_rows_verbatim.csv",
        "burstgpt/burstgpt3_conv_first314_v2schema_partial.csv",
    ],
)
def test_real_files_read_fast_are_what_they_are_row_by_row(name):
    quick = fast(shared(name))
    assert quick is not None
    assert_same(quick, read_slowly(shared(name)))


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (["-5", "", "", "ChatGPT", "1", "1", "2", "API log"], "line 3: Timestamp"),
        (["nan", "", "", "ChatGPT", "1", "1", "2", "API log"], "line 3: Timestamp"),
        (["", "", "", "ChatGPT", "1", "1", "2", "API log"], "line 3: Timestamp"),
        (["5", "", "", "ChatGPT", "x", "1", "2", "API log"], "line 3: Request tokens"),
        (["5", "", "", "ChatGPT", "-1", "1", "2", "API log"], "line 3: Request tokens"),
        (["5", "", "", "Chat GPT", "1", "1", "2", "API log"], "line 3: Model"),
        (["5", "", "", "ChatGPT", "1", "1", "2", "Other log"], "line 3: Log Type"),
        (["5", "", "", "ChatGPT", "1"], "line 3: only 5 columns"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path, cells, why):
    path = tmp_path / "bad.csv"
    good = ["1", "", "", "GPT-4", "1", "1", "2", "API log"]
    path.write_text("\n".join(",".join(row) for row in (BURSTGPT_8, good, cells, good)) + "\n")
    with pytest.raises(OperatorError, match=why):
        read_trace(path)


@pytest.mark.parametrize(
    ("rows", "times"),
    [
        (["0.1234569", "5.0"], [123_456, 5_000_000]),
        (["1700000000.123456", "1600000005.0"], [1_600_000_005_000_000, 1_700_000_000_123_456]),
    ],
)
def test_digits_past_the_sixth_are_cut_and_late_times_stay_exact(rows, times, tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text(",".join(BURSTGPT_6) + "\n" + "".join(f"{t},ChatGPT,1,1,2,API log\n" for t in rows))
    assert read_trace(path).submitted_us.tolist() == times


def test_columns_are_found_by_name_and_rows_come_in_order_of_time(tmp_path):
    path = tmp_path / "mixed.csv"
    path.write_text(
        "Log Type,Extra,Response tokens,Request tokens,Model,Timestamp\nAPI log,x,0,7,A,9\nAPI log,y,3,4,B,2\n"
    )
    trace = read_trace(path)
    assert trace.submitted_us.tolist() == [2_000_000, 9_000_000]
    assert trace.model.values() == ["B", "A"]
    assert trace.failed.tolist() == [False, True]
    assert trace.resolution_us == 1_000_000


def test_a_file_without_rows_is_a_trace_without_requests(tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text(",".join(BURSTGPT_8) + "\n")
    assert len(read_trace(path)) == 0


def test_the_slow_path_tells_how_far_it_is(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(",".join(BURSTGPT_6) + "\n5.1234567,A,1,1,2,API log\n")
    told = []
    read_trace(path, progress=lambda done, size: told.append((done, size)))
    assert told
    assert all(0 < done <= size == path.stat().st_size for done, size in told)


def test_a_file_that_cannot_be_written_leaves_nothing_and_says_why(tmp_path, monkeypatch):
    trace = rows_to_trace([], absolute=False)
    with pytest.raises(OperatorError, match="cannot write"):
        write_trace(trace, tmp_path / "no" / "such" / "folder.csv")

    def broken(trace, path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "_writer", lambda: broken)
    (tmp_path / "old.csv").write_text("old")
    with pytest.raises(OperatorError, match="No space left"):
        write_trace(trace, tmp_path / "old.csv")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("old.csv", "old")]


def test_a_failed_request_is_written_with_no_response_tokens(tmp_path):
    trace = Trace.build(
        np.array([0, 1], np.int64), response_tokens=np.array([5, -1], np.int32), outcome=np.array([1, 2], np.int8)
    )
    write_trace(trace, tmp_path / "t.csv")
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert [row["Response tokens"] for row in rows] == ["0", ""]
