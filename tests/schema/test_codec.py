"""The wire codec: exact round trips, one documented error for everything else, no room for prose."""

import dataclasses

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.schema.codec import Batch, Coded, columns_of, decode, encode, events_of
from collector.schema.columns import COLUMNS, TOKEN_LEN_MAX, ColumnType, clean_token, is_token
from collector.schema.errors import BadMessage
from collector.schema.events import EVENT_TYPES, Kind
from tests.support.events import arrival, batches, completion


@given(batches())
def test_a_batch_comes_back_exactly_as_it_was_sent(made):
    batch, rows = made
    again = decode(encode(batch))
    assert batch.identity == again.identity
    assert (batch.kind, batch.n, batch.watermark, batch.dropped) == (
        again.kind,
        again.n,
        again.watermark,
        again.dropped,
    )
    assert rows == events_of(again)
    assert encode(batch) == encode(again)


@given(st.binary(max_size=400))
def test_any_bytes_decode_or_raise_the_one_documented_error(body):
    try:
        decode(body)
    except BadMessage as error:
        assert error.reason in BadMessage.REASONS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(batches(), st.data())
def test_a_message_with_any_part_replaced_decodes_or_is_refused_by_name(made, data):
    raw = orjson.loads(encode(made[0]))
    path = data.draw(st.sampled_from(_paths(raw)))
    _replace(raw, path, data.draw(JSON))
    try:
        body = orjson.dumps(raw)
    except TypeError:  # an integer beyond 64 bits cannot even be sent
        return
    try:
        again = decode(body)
    except BadMessage as error:
        assert error.reason in BadMessage.REASONS
        assert len(error.detail) <= 200
    else:
        assert len(events_of(again)) == again.n


def _paths(raw, at=()):
    found = [at] if at else []
    if isinstance(raw, dict):
        for key, value in raw.items():
            found += _paths(value, (*at, key))
    elif isinstance(raw, list):
        for i, value in enumerate(raw[:3]):
            found += _paths(value, (*at, i))
    return found


def _replace(raw, path, value):
    for step in path[:-1]:
        raw = raw[step]
    raw[path[-1]] = value


@given(batches(), st.integers(0, 10_000), st.integers(0, 255))
def test_a_flipped_byte_never_raises_anything_but_bad_message(made, at, byte):
    body = bytearray(encode(made[0]))
    body[at % len(body)] = byte
    try:
        decode(bytes(body))
    except BadMessage:
        pass


def _with(batch: Batch, **changes) -> bytes:
    raw = orjson.loads(encode(batch))
    raw.update(changes)
    return orjson.dumps(raw)


def _sample() -> Batch:
    rows = [arrival(1_000_000, model="GPT-4"), arrival(2_000_000)]
    return Batch(agent="a", boot="b", key="s", seq=0, kind=Kind.ARRIVAL, n=2, columns=columns_of(Kind.ARRIVAL, rows))


@pytest.mark.parametrize(
    ("change", "reason", "named"),
    [
        ({"v": 2}, "version", "schema version"),
        ({"v": True}, "version", "schema version"),
        ({"agent": ""}, "envelope", "agent"),
        ({"key": "two words"}, "envelope", "key"),
        ({"seq": -1}, "envelope", "seq"),
        ({"seq": 1.0}, "envelope", "seq"),
        ({"n": 3}, "columns", "n is 3"),
        ({"kind": "prompt"}, "envelope", "kind"),
        ({"watermark": "now"}, "envelope", "watermark"),
        ({"columns": {}}, "columns", "id is missing"),
        ({"columns": {"prompt": ["hello"]}}, "columns", "'prompt' is not a column"),
        ({"extra": 1}, "envelope", "unknown field"),
    ],
)
def test_the_error_names_what_is_wrong(change, reason, named):
    with pytest.raises(BadMessage) as caught:
        decode(_with(_sample(), **change))
    assert reason == caught.value.reason
    assert named in caught.value.detail


def test_two_ids_cannot_hide_in_one_by_a_line_break():
    rows = orjson.loads(encode(_sample()))
    rows["columns"]["id"] = ["a\nb", "c"]
    with pytest.raises(BadMessage, match="id must be"):
        decode(orjson.dumps(rows))


def test_no_field_of_any_event_can_hold_a_sentence():
    """Every text a schema-v1 message can carry is a bounded token without spaces, or of a closed set."""
    sentence = "Please summarise this confidential letter"
    for kind, columns in COLUMNS.items():
        assert {c.name for c in columns} == {f.name for f in dataclasses.fields(EVENT_TYPES[kind])}
        for column in columns:
            assert not {"prompt", "completion", "text", "content", "message", "body"} & set(column.name.split("_"))
            row = _row_with(kind, column.name, sentence)
            batch = Batch(agent="a", boot="b", key="s", seq=0, kind=kind, n=1, columns=row)
            with pytest.raises(BadMessage):
                encode(batch)
            if column.type in {ColumnType.CODED, ColumnType.UNIQUE} and column.allowed is None:
                row = _row_with(kind, column.name, "x" * (TOKEN_LEN_MAX + 1))
                with pytest.raises(BadMessage):
                    encode(Batch(agent="a", boot="b", key="s", seq=0, kind=kind, n=1, columns=row))


def _row_with(kind: Kind, name: str, value: str):
    row = {}
    for column in COLUMNS[kind]:
        if column.name == name or not column.nullable:
            good = {
                ColumnType.TIME: 1,
                ColumnType.COUNT: 1,
                ColumnType.RATIO: 0.5,
                ColumnType.FLAG: True,
            }.get(column.type, min(column.allowed) if column.allowed else "ok")
            cell = value if column.name == name else good
            row[column.name] = Coded([cell], [0]) if column.type is ColumnType.CODED else [cell]
    return row


@given(st.text(max_size=300))
def test_a_cleaned_token_is_a_token_or_nothing(text):
    cleaned = clean_token(text)
    assert cleaned is None or is_token(cleaned)
    if is_token(text):
        assert cleaned == text


def test_a_heartbeat_has_no_columns_and_moves_only_the_watermark():
    beat = Batch(agent="a", boot="b", key="s", seq=7, kind=Kind.ARRIVAL, n=0, watermark=5)
    assert [] == events_of(decode(encode(beat)))
    assert 5 == decode(encode(beat)).watermark


def test_absent_is_none_and_never_zero():
    rows = [completion(1, response_tokens=None), completion(2, response_tokens=0)]
    batch = Batch(
        agent="a",
        boot="b",
        key="s",
        seq=0,
        kind=Kind.COMPLETION,
        n=2,
        columns=columns_of(Kind.COMPLETION, rows),
    )
    assert [None, 0] == [e.response_tokens for e in events_of(decode(encode(batch)))]
