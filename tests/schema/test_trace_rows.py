"""Trace files are read by header name and written exactly."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.schema.errors import BadTrace
from collector.schema.trace_rows import (
    BURSTGPT_6,
    BURSTGPT_8,
    LOG_TYPES,
    TraceRow,
    format_row,
    format_seconds,
    parse_calendar,
    parse_seconds,
    read_rows,
)
from tests.support.events import TOKENS
from tests.support.shared_data import SHARED


def _read(text: str) -> list[TraceRow]:
    return list(read_rows(io.StringIO(text, newline=""))[1])


def _optional(values):
    return st.none() | values


ROWS = st.builds(
    TraceRow,
    submitted_us=st.integers(0, 10**14),
    session=_optional(TOKENS),
    elapsed_us=_optional(st.integers(0, 10**11)),
    model=_optional(TOKENS),
    request_tokens=_optional(st.integers(0, 10**6)),
    response_tokens=_optional(st.integers(0, 10**6)),
    log_type=_optional(st.sampled_from(sorted(LOG_TYPES))),
)


@given(st.lists(ROWS, max_size=6))
def test_rows_written_in_eight_columns_read_back_exactly(rows):
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(BURSTGPT_8)
    writer.writerows(format_row(row, BURSTGPT_8) for row in rows)
    assert rows == _read(out.getvalue())


@given(st.permutations(BURSTGPT_8))
def test_columns_are_found_by_name_in_any_order(header):
    row = TraceRow(
        submitted_us=5_000_000, session="s", elapsed_us=1, model="GPT-4", request_tokens=1, response_tokens=2
    )
    text = ",".join(header) + "\n" + ",".join(format_row(row, tuple(header))) + "\n"
    assert [row] == _read(text)


def test_six_columns_have_no_session_and_no_elapsed_time():
    rows = _read(",".join(BURSTGPT_6) + "\r\n1106,ChatGPT,0,0,0,Conversation log\r\n")
    assert rows == [
        TraceRow(
            submitted_us=1_106_000_000,
            model="ChatGPT",
            request_tokens=0,
            response_tokens=0,
            log_type="Conversation log",
        )
    ]
    assert rows[0].failed


@pytest.mark.parametrize(
    ("text", "line", "named"),
    [
        ("", 1, "empty"),
        ("a,b,c\n1,2,3\n", 1, "no column 'Timestamp'"),
        (",".join(BURSTGPT_6) + "\n5,ChatGPT,1,1\n", 2, "only 4 columns"),
        (",".join(BURSTGPT_6) + "\n5,ChatGPT,1,1,2,API log\n-3,ChatGPT,1,1,2,API log\n", 3, "Timestamp"),
        (",".join(BURSTGPT_6) + "\nnan,ChatGPT,1,1,2,API log\n", 2, "Timestamp"),
        (",".join(BURSTGPT_6) + "\n5,Chat GPT,1,1,2,API log\n", 2, "Model"),
        (",".join(BURSTGPT_6) + "\n5,ChatGPT,1.5,1,2,API log\n", 2, "Request tokens"),
        (",".join(BURSTGPT_6) + "\n5,ChatGPT,1,1,2,=cmd()\n", 2, "Log Type"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,1\n", 2, "TIMESTAMP"),
        (",".join(BURSTGPT_6) + '\n"5,ChatGPT\n', 3, "CSV"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text, line, named):
    with pytest.raises(BadTrace) as caught:
        _read(text)
    assert named in str(caught.value)
    assert caught.value.line in {line, line - 1}


@given(st.text(max_size=200))
def test_any_text_reads_or_raises_bad_trace(text):
    try:
        _read(text)
        _read(",".join(BURSTGPT_8) + "\n" + text)
    except BadTrace:
        pass


@given(st.integers(0, 10**17))
def test_seconds_are_exact_both_ways(us):
    assert us == parse_seconds("t", format_seconds(us))


def test_calendar_times_keep_their_microseconds():
    assert 1_700_158_623_979_960 == parse_calendar("2023-11-16 18:17:03.9799600")


def test_the_real_azure_file_reads_whole():
    path = SHARED / "data/azure/AzureLLMInferenceTrace_code.csv"
    if not path.exists():
        pytest.skip(f"real trace not here: {path}")
    with path.open(newline="") as lines:
        header, rows = read_rows(lines)
        rows = list(rows)
    assert header.absolute
    assert 8819 == len(rows)
    assert all(a.submitted_us <= b.submitted_us for a, b in zip(rows, rows[1:], strict=False))


def test_the_real_burstgpt_files_read_whole():
    folder = SHARED / "data/burstgpt"
    if not folder.exists():
        pytest.skip(f"real traces not here: {folder}")
    counts = {}
    for path in sorted(folder.glob("*rows*.csv")) + [folder / "burstgpt3_conv_first314_v2schema_partial.csv"]:
        with path.open(newline="") as lines:
            counts[path.name] = len(list(read_rows(lines)[1]))
    assert counts == {
        "burstgpt1_first30_rows.csv": 30,
        "burstgpt3_first4_rows_verbatim.csv": 4,
        "burstgpt3_conv_first314_v2schema_partial.csv": 314,
    }
