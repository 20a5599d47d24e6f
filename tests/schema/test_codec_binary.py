"""The binary body: the same batches as JSON, the same verdicts, and nothing but ``BadMessage`` for any other bytes."""

import struct

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.schema.codec import Batch, Coded, Encoding, columns_of, decode, encode, encoding_of, events_of
from collector.schema.codec_binary import MAGIC
from collector.schema.errors import BadMessage
from collector.schema.events import Kind
from tests.support.events import arrival, batches, completion

BINARY = Encoding.BINARY


def parts(body: bytes) -> tuple[dict, bytes]:
    """Header and buffers."""
    (size,) = struct.unpack_from("<I", body, 4)
    return orjson.loads(body[8 : 8 + size]), body[8 + size :]


def joined(header: object, buffers: bytes) -> bytes:
    text = orjson.dumps(header)
    return MAGIC + struct.pack("<I", len(text)) + text + buffers


def sample(**fields) -> Batch:
    rows = [arrival(1_000_000, model="GPT-4"), arrival(2_000_000, request_tokens=7)]
    columns = columns_of(Kind.ARRIVAL, rows)
    return Batch(
        **{"agent": "a", "boot": "b", "key": "s", "seq": 0, "kind": Kind.ARRIVAL, "n": 2, "columns": columns, **fields}
    )


@settings(deadline=None, max_examples=60)
@given(batches())
def test_a_batch_comes_back_exactly_whichever_way_it_travels(made):
    batch, rows = made
    again = decode(encode(batch, BINARY))
    assert rows == events_of(again)
    assert encode(batch, BINARY) == encode(again, BINARY)
    assert encode(batch) == encode(again), "binary and back is the same JSON"
    assert encode(batch, BINARY) == encode(decode(encode(batch)), BINARY)


@given(
    st.lists(st.integers(0, 2**53 - 1) | st.integers(0, 300) | st.none(), min_size=1, max_size=8), st.integers(0, 2**16)
)
@example([0, 255], 0)
@example([0, 256], 0)
@example([0, 255, None], 0)
@example([0, 254, None], 0)
@example([2**53 - 1, None, 2**53 - 256], 0)
@example([2**53 - 1, 0], 0)
def test_numbers_keep_their_value_at_every_width(values, shift):
    values = [None if value is None else min(value + shift, 2**53 - 1) for value in values]
    rows = [arrival(1, request_tokens=value) for value in values]
    batch = sample(n=len(rows), columns=columns_of(Kind.ARRIVAL, rows))
    assert values == [event.request_tokens for event in events_of(decode(encode(batch, BINARY)))]


@given(st.binary(max_size=400), st.integers(0, 500))
def test_any_bytes_behind_the_magic_decode_or_raise_the_one_documented_error(tail, size):
    for body in (MAGIC + tail, MAGIC + struct.pack("<I", size) + tail):
        with pytest.raises(BadMessage) as caught:
            decode(body)
        assert caught.value.reason in BadMessage.REASONS


@settings(deadline=None, max_examples=60)
@given(batches(), st.data())
def test_a_body_cut_anywhere_or_with_anything_behind_is_refused(made, data):
    body = encode(made[0], BINARY)
    at = data.draw(st.integers(0, len(body) - 1))
    for bad in (body[:at], body + b"\0"):
        with pytest.raises(BadMessage):
            decode(bad)


@settings(deadline=None, max_examples=60)
@given(batches(), st.integers(0, 10_000), st.integers(0, 255))
def test_a_flipped_byte_decodes_to_something_valid_or_is_refused(made, at, byte):
    body = bytearray(encode(made[0], BINARY))
    body[at % len(body)] = byte
    try:
        again = decode(bytes(body))
    except BadMessage as error:
        assert error.reason in BadMessage.REASONS
    else:
        encode(again)  # judges every value as if it came from a list


NUMBERS = st.sampled_from(
    [-(2**63), -2, -1, 0, 1, 2, 3, 8, 128, 129, 255, 2**31, 2**53 - 1, 2**53, 2**63, 2**64 - 1, 0.0]
)
ODD = NUMBERS | st.booleans() | st.none() | st.text(max_size=5) | st.lists(st.text(max_size=3) | NUMBERS, max_size=3)


@settings(deadline=None, max_examples=60)
@given(batches(), ODD, st.data())
def test_a_header_that_lies_is_refused_or_means_a_valid_batch(made, value, data):
    header, buffers = parts(encode(made[0], BINARY))
    if header["columns"]:
        entry = data.draw(st.sampled_from(header["columns"]))
        entry[data.draw(st.integers(0, len(entry) - 1))] = value
    else:
        header["n"] = value
    if data.draw(st.booleans()):
        buffers += bytes(data.draw(st.integers(0, 40)))
    try:
        body = joined(header, buffers)
    except TypeError:  # an integer beyond 64 bits cannot even be sent
        return
    try:
        again = decode(body)
    except BadMessage as error:
        assert error.reason in BadMessage.REASONS
        assert len(error.detail) <= 200
    else:
        assert len(events_of(again)) == again.n
        encode(again)


def one(name: str, entry: list, data: bytes, n: int = 2) -> bytes:
    """Two arrivals with one column described by hand."""
    header, buffers = parts(encode(sample(), BINARY))
    header["n"] = n
    entries, out, at = [], b"", 0
    for known in header["columns"]:
        size = {"id": lambda e: e[3] + 2 * e[1]}.get(known[0], lambda e: 2 * e[1])(known)
        piece, at = buffers[at : at + size], at + size
        entries.append([name, *entry] if known[0] == name else known)
        out += data if known[0] == name else piece
    header["columns"] = entries
    return joined(header, out)


@pytest.mark.parametrize(
    ("name", "entry", "data", "reason"),
    [
        ("id", [0, 2, 3], b"abc", "layout"),  # ids longer than all of them
        ("id", [0, 2, 5], b"abcde", "layout"),  # text behind the last id
        ("id", [1, 1, 4], bytes([2, 0]) + b"a\nbc", "value"),  # a line break is no token
        ("id", [1, 0, 3], bytes([3, 0]) + b"abc", "layout"),  # an empty id (base 0 is never needed)
        ("id", [1, 100, 229], bytes([0, 29]) + b"x" * 229, "value"),  # 129 characters
        ("id", [0, 1, 2], b"\xc3\xa9", "value"),
        ("submitted_at", [0, -1, False], b"", "columns"),
        ("submitted_at", [0, 253_402_300_800_000_001, False], b"", "columns"),
        ("submitted_at", [1, 253_402_300_800_000_000, False], bytes([0, 1]), "value"),
        ("submitted_at", [8, 0, False], b"\xff" * 16, "value"),
        ("submitted_at", [1, 5, True], bytes([0, 1]), "columns"),  # times are never absent
        ("submitted_at", [True, 5, False], bytes(2), "columns"),
        ("submitted_at", [1, 5.0, False], bytes(2), "columns"),
        ("submitted_at", [3, 5, False], bytes(6), "columns"),
        ("submitted_at", [1, 5], bytes(2), "columns"),
        ("request_tokens", [0, 5, True], b"", "columns"),
        ("request_tokens", [1, 2**53 - 1, False], bytes([0, 1]), "value"),
        ("model", [1, 0, ["m"]], bytes([0, 1]), "value"),  # a code past the dictionary
        ("model", [1, -1, ["m"]], bytes([0, 2]), "value"),
        ("model", [2, 0, ["m"]], bytes([0, 0, 0, 1]), "value"),
        ("model", [0, -2, ["m"]], b"", "value"),
        ("model", [0, 1, ["m"]], b"", "value"),
        ("model", [0, 0, []], b"", "value"),
        ("model", [0, 0, ["m", "m"]], b"", "value"),
        ("model", [0, 0, ["two words"]], b"", "value"),
        ("log_type", [1, -1, ["API log"]], bytes([0, 1]), "value"),  # never absent
        ("log_type", [0, 0, ["Prompt log"]], b"", "value"),
    ],
)  # fmt: skip
def test_a_column_that_does_not_hold_what_it_says_is_refused(name, entry, data, reason):
    with pytest.raises(BadMessage) as caught:
        decode(one(name, entry, data))
    assert reason == caught.value.reason
    assert name in caught.value.detail


@pytest.mark.parametrize(
    ("name", "entry", "data"),
    [
        ("submitted_at", [1, 253_402_300_799_999_999, False], bytes([0, 1])),
        ("submitted_at", [8, 0, False], struct.pack("<2Q", 1, 253_402_300_800_000_000)),
        ("request_tokens", [1, 2**53 - 1, True], bytes([0, 1])),
        ("model", [1, -1, ["m"]], bytes([0, 1])),
        ("model", [2, 0, ["m", "k"]], bytes([0, 0, 1, 0])),
        ("id", [1, 1, 129], bytes([127, 0]) + b"x" * 129),
        ("id", [0, 128, 256], b"x" * 256),
    ],
)
def test_a_column_at_the_edge_of_what_is_allowed_is_taken(name, entry, data):
    assert len(events_of(decode(one(name, entry, data)))) == 2


def test_a_number_of_events_that_nobody_could_send_costs_nothing():
    header, buffers = parts(encode(sample(), BINARY))
    for n in (100_001, 2**53, 2**63):
        with pytest.raises(BadMessage, match="n must be"):
            decode(joined({**header, "n": n}, buffers))
    with pytest.raises(BadMessage, match="layout"):
        decode(joined({**header, "n": 100_000}, buffers))


def test_flags_and_ratios_that_are_none_are_refused():
    rows = [completion(1, stream=True), completion(2, stream=None), completion(3, stream=False)]
    batch = sample(kind=Kind.COMPLETION, n=3, columns=columns_of(Kind.COMPLETION, rows))
    body = encode(batch, BINARY)
    assert [True, None, False] == [event.stream for event in events_of(decode(body))]
    header, buffers = parts(body)
    place = buffers.rindex(bytes([2, 0, 1]))
    with pytest.raises(BadMessage, match="stream must hold"):
        decode(joined(header, buffers[:place] + b"\3" + buffers[place + 1 :]))
    node = {"at": [1], "gpu_utilization_ratio": [0.5]}
    node |= {"source": Coded(["s"], [0]), "node": Coded(["n"], [0])}
    body = encode(sample(kind=Kind.RESOURCE, n=1, columns=node), BINARY)
    for bad in (-0.5, 101.0, float("inf")):
        with pytest.raises(BadMessage, match="gpu_utilization_ratio is out of range"):
            decode(body.replace(struct.pack("<d", 0.5), struct.pack("<d", bad)))


def test_a_body_says_what_it_is_by_its_first_bytes():
    assert encoding_of(encode(sample(), BINARY)) is BINARY
    assert encoding_of(encode(sample())) is Encoding.JSON
    assert not MAGIC.isascii()
    with pytest.raises(UnicodeDecodeError):  # so no JSON text begins like that
        MAGIC.decode()


def test_a_column_may_not_come_twice():
    header, buffers = parts(encode(sample(), BINARY))
    entry = next(entry for entry in header["columns"] if not entry[1])
    header["columns"].append(entry)
    with pytest.raises(BadMessage, match="comes twice"):
        decode(joined(header, buffers))


def test_a_heartbeat_travels_without_columns():
    beat = sample(n=0, columns={}, watermark=5)
    assert decode(encode(beat, BINARY)) == beat
