"""A message's arrays, and all that becomes of it, are the same whichever body it came in."""

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.schema.codec import Batch, Coded, Encoding, columns_of, decode, encode
from collector.schema.columns import COLUMNS, ColumnType
from collector.schema.events import Kind
from streams.capture.segments import SegmentBuilder, SegmentName, read_segment
from streams.processors.columns import codes, numbers
from streams.processors.measures import completed_of
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings
from tests.support.events import arrival, batches
from tests.support.worker_process import service_traffic


def texts(dictionary, code):
    return [dictionary[c] if c < len(dictionary) else None for c in code.tolist()]


@given(batches())
def test_arrays_hold_the_columns_values_whichever_body_they_came_in(made):
    batch, rows = made
    for encoding in Encoding:
        again = decode(encode(batch, encoding))
        for spec in COLUMNS[batch.kind]:
            wanted = [getattr(row, spec.name) for row in rows]
            if spec.type in {ColumnType.TIME, ColumnType.COUNT}:
                found = numbers(again, spec.name)
                assert found.dtype == np.int64
                assert [value or 0 for value in wanted] == found.tolist()
            elif spec.type is ColumnType.CODED:
                assert wanted == texts(*codes(again, spec.name))
        if batch.kind is Kind.COMPLETION and rows:
            completed = completed_of(again, np.zeros(again.n, np.intp), codes(again, "outcome"))
            ended, took = completed.at, completed.took
            known = [r.ended_at is not None and r.ended_at >= r.submitted_at for r in rows]
            assert [r.submitted_at if r.ended_at is None else r.ended_at for r in rows] == ended.tolist()
            assert [r.ended_at - r.submitted_at if k else -1 for r, k in zip(rows, known, strict=True)] == took.tolist()


@given(st.lists(st.integers(0, 400), min_size=1, max_size=6))
def test_codes_of_a_dictionary_of_any_size_are_read(picked):
    names = [f"m{i}" for i in range(401)]
    column = Coded(names, [*picked, -1])
    for encoding in Encoding:
        batch = decode(encode(_arrivals(column), encoding))
        assert texts(*codes(batch, "model")) == column.texts()


def _arrivals(models: Coded):
    rows = [arrival(i) for i in range(len(models.codes))]
    columns = {**columns_of(Kind.ARRIVAL, rows), "model": models}
    return Batch(agent="a", boot="b", key="s", seq=0, kind=Kind.ARRIVAL, n=len(rows), columns=columns)


def test_a_service_comes_to_the_same_state_and_results_whichever_body_its_messages_came_in():
    found = []
    for encoding in Encoding:
        state = ServiceState("svc", AnalysisSettings(burst_warmup_s=10))
        rows = []
        for offset, (_, body) in enumerate(service_traffic("svc", 12, 120)):
            rows += state.apply(decode(encode(decode(body), encoding)), offset)
        found.append((rows, state.snapshot()))
    assert found[0] == found[1]
    assert len(found[0][0]) > 10


def test_a_segment_is_the_same_whichever_body_its_messages_came_in():
    files = []
    for encoding in Encoding:
        builder = SegmentBuilder("llm.requests", 0, 0)
        lines = [builder.header()]
        for offset, (_, body) in enumerate(service_traffic("svc", 3, 20)):
            lines.append(builder.add(offset, encode(decode(body), encoding)))
        files.append(b"".join([*lines, builder.footer()]))
        name = SegmentName(topic="llm.requests", partition=0, first=0, last=builder.last)
        assert len(read_segment(name, files[-1].splitlines(keepends=True)).batches) == 3
    assert files[0] == files[1]


def test_a_message_that_is_larger_as_json_than_any_message_may_be_is_captured_all_the_same(monkeypatch):
    (_, body), *_ = service_traffic("svc", 1, 50)
    binary = encode(decode(body), Encoding.BINARY)
    assert len(binary) < len(body)
    monkeypatch.setattr("collector.schema.codec.MESSAGE_BYTES_MAX", len(binary))
    builder = SegmentBuilder("llm.requests", 0, 0)
    file = b"".join([builder.header(), builder.add(0, binary), builder.footer()])
    name = SegmentName(topic="llm.requests", partition=0, first=0, last=0)
    assert 50 == read_segment(name, file.splitlines(keepends=True)).footer.rows


def test_people_can_look_into_a_message():
    (_, body), *_ = service_traffic("svc", 1, 3)
    command = [sys.executable, "-m", "collector.schema.show"]
    for encoding in Encoding:
        shown = subprocess.run(command, input=encode(decode(body), encoding), capture_output=True, check=True)
        assert body + b"\n" == shown.stdout
    refused = subprocess.run(command, input=b"\x89BWC", capture_output=True, check=False)
    assert 1 == refused.returncode
    assert b"layout" in refused.stderr
