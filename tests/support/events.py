"""Builders and hypothesis strategies for events and batches."""

from hypothesis import strategies as st

from collector.schema.codec import Batch, columns_of
from collector.schema.columns import COLUMNS, COUNT_MAX, TIME_US_MAX, Column, ColumnType
from collector.schema.events import EVENT_TYPES, Arrival, Completion, Event, Kind

TOKENS = st.text(alphabet=[chr(c) for c in range(33, 127)], min_size=1, max_size=20)


def _values(column: Column) -> st.SearchStrategy:
    if column.allowed is not None:
        values = st.sampled_from(sorted(column.allowed))
    else:
        values = {
            ColumnType.TIME: st.integers(0, TIME_US_MAX),
            ColumnType.COUNT: st.integers(0, COUNT_MAX),
            ColumnType.RATIO: st.floats(0, 1),
            ColumnType.FLAG: st.booleans(),
            ColumnType.CODED: TOKENS,
            ColumnType.UNIQUE: TOKENS,
        }[column.type]
    return st.none() | values if column.nullable else values


def events(kind: Kind) -> st.SearchStrategy[Event]:
    """Any valid event of ``kind``."""
    return st.builds(EVENT_TYPES[kind], **{c.name: _values(c) for c in COLUMNS[kind]})


@st.composite
def batches(draw) -> tuple[Batch, list[Event]]:
    """Any valid batch with the events it was made of."""
    kind = draw(st.sampled_from(list(Kind)))
    rows = draw(st.lists(events(kind), max_size=8))
    batch = Batch(
        agent=draw(TOKENS),
        boot=draw(TOKENS),
        key=draw(TOKENS),
        seq=draw(st.integers(0, COUNT_MAX)),
        kind=kind,
        n=len(rows),
        watermark=draw(st.none() | st.integers(0, TIME_US_MAX)),
        dropped=draw(st.integers(0, COUNT_MAX)),
        columns=columns_of(kind, rows) if rows else {},
    )
    return batch, rows


def arrival(at_us: int, **fields) -> Arrival:
    """An arrival at ``at_us`` with plain defaults."""
    return Arrival(**{"id": f"r{at_us}", "submitted_at": at_us, "source": "test", "node": "n1", **fields})


def completion(at_us: int, **fields) -> Completion:
    """A successful completion, one second after its submission at ``at_us``."""
    defaults = {
        "id": f"r{at_us}",
        "submitted_at": at_us,
        "ended_at": at_us + 1_000_000,
        "outcome": "ok",
        "request_tokens": 10,
        "response_tokens": 5,
        "source": "test",
        "node": "n1",
    }
    return Completion(**{**defaults, **fields})
