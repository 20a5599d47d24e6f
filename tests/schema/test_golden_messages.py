"""Messages as they have been on the wire since each body exists: they must be read, and written, like that for ever.

tests/golden/messages.json.txt holds JSON bodies, messages.binary.txt the same messages as hexadecimal binary bodies.
"""

from pathlib import Path

import pytest

from collector.schema.codec import Batch, Encoding, columns_of, decode, encode, events_of
from collector.schema.events import Completion, Event, Kind, Resource
from tests.support.events import arrival

GOLDEN = Path(__file__).parents[1] / "golden"
DAY = 1_699_920_000_000_000

COMPLETIONS: list[Event] = [
    Completion(
        id="req-1",
        submitted_at=DAY,
        first_token_at=DAY + 250_000,
        ended_at=DAY + 3_000_000,
        model="llama-3-70b",
        log_type="Conversation log",
        session="9f8e7d",
        request_tokens=812,
        response_tokens=70_000,
        cached_tokens=0,
        stream=True,
        outcome="ok",
        http_status=200,
        finish_reason="stop",
        source="proxy",
        node="n1",
    ),
    Completion(
        id="req-20",
        submitted_at=DAY + 70_000,
        stream=False,
        outcome="failed",
        reason="overloaded",
        reason_raw="queue_full",
        http_status=503,
        source="proxy",
        node="n1",
    ),
]
ARRIVALS: list[Event] = [arrival(DAY + 300 * k, model=None if k % 2 else "m", request_tokens=k) for k in range(3)]
RESOURCES: list[Event] = [
    Resource(at=DAY, gpu="GPU-0", gpu_used_bytes=70 << 30, gpu_total_bytes=80 << 30, source="nvml", node="n1"),
    Resource(at=DAY, engine="vllm", service="chat", kv_cache_usage_ratio=0.875, waiting=3, source="vllm", node="n1"),
]
FILLED = {Kind.COMPLETION: COMPLETIONS, Kind.ARRIVAL: ARRIVALS, Kind.RESOURCE: RESOURCES}


def messages() -> list[tuple[Batch, list[Event]]]:
    made = []
    for seq, (kind, rows) in enumerate([*FILLED.items(), (Kind.ARRIVAL, [])]):
        columns = columns_of(kind, rows) if rows else {}
        watermark = DAY + 5_000_000 if kind is Kind.ARRIVAL else None
        batch = Batch(
            agent="node-1",
            boot="0005f1",
            key="chat",
            seq=seq,
            kind=kind,
            n=len(rows),
            watermark=watermark,
            columns=columns,
        )
        made.append((batch, rows))
    return made


def golden(encoding: Encoding) -> list[bytes]:
    lines = (GOLDEN / f"messages.{encoding}.txt").read_text().splitlines()
    return [bytes.fromhex(line) if encoding is Encoding.BINARY else line.encode() for line in lines]


@pytest.mark.parametrize("encoding", list(Encoding))
def test_a_message_is_written_as_it_always_was(encoding):
    assert golden(encoding) == [encode(batch, encoding) for batch, _ in messages()]


@pytest.mark.parametrize("encoding", list(Encoding))
def test_a_message_is_read_as_it_always_was(encoding):
    read = [decode(body) for body in golden(encoding)]
    assert [(b.identity, b.kind, b.n, b.watermark) for b, _ in messages()] == [
        (b.identity, b.kind, b.n, b.watermark) for b in read
    ]
    assert [rows for _, rows in messages()] == [events_of(batch) for batch in read]
