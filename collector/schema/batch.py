"""One message as columns, whichever way it travelled; and columns made of events and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from collector.schema.columns import COLUMNS, ColumnType
from collector.schema.events import EVENT_TYPES, Event, Kind


@dataclass(frozen=True, slots=True)
class Coded:
    """A dictionary-coded text column: event i has ``values[codes[i]]``, or nothing where the code is -1."""

    values: Sequence[str]
    codes: Sequence[int]

    def texts(self) -> list[str | None]:
        """Return one text or None per event."""
        lookup: list[str | None] = [*self.values, None]
        return [lookup[code] for code in self.codes]


Columns = Mapping[str, Coded | Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One message. ``(agent, boot, key, seq)`` identifies it for ever.

    Attributes:
        agent: the instance's id from its configuration.
        boot: one run of that agent; a new one at every start, so that ``seq`` is never reused.
        key: the Kafka key: the service for arrivals and completions, the node for resources.
        seq: counts this boot's messages for this key (in its topic) from 0, over all kinds, without holes.
        watermark: every event of this key up to this time (us) has been sent by this agent, this message
            included; None where the agent cannot promise it.
        dropped: events of this key this boot had to drop so far (bounded queues never hide loss).
        n: events in the columns; 0 makes the message a heartbeat that only moves the watermark.
        columns: ``Coded`` for coded text, a sequence per other column (a list, or one of ``packed.py`` as a binary
            body holds it); absent where every value is None.
    """

    agent: str
    boot: str
    key: str
    seq: int
    kind: Kind
    n: int
    watermark: int | None = None
    dropped: int = 0
    columns: Columns = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """``(agent, boot, key, seq)``."""
        return (self.agent, self.boot, self.key, self.seq)


def columns_of(kind: Kind, events: Sequence[Event]) -> dict[str, Coded | list[Any]]:
    """Return ``events`` (all of ``kind``) as columns; columns in which every value is None are left out."""
    columns: dict[str, Coded | list[Any]] = {}
    for column in COLUMNS[kind]:
        values = list(map(attrgetter(column.name), events))
        if column.nullable and (not values or values[0] is None) and values.count(None) == len(values):
            continue
        columns[column.name] = _coded(values) if column.type is ColumnType.CODED else values
    return columns


def events_of(batch: Batch) -> list[Event]:
    """Return the batch's events as objects (for files and tests; the live path stays on columns)."""
    make = EVENT_TYPES[batch.kind]
    names = list(batch.columns)
    texts = [c.texts() if isinstance(c, Coded) else c for c in batch.columns.values()]
    if not batch.n:
        return []
    return [make(**dict(zip(names, row, strict=True))) for row in zip(*texts, strict=True)]


def _coded(values: list[str | None]) -> Coded:
    names = [value for value in dict.fromkeys(values) if value is not None]
    codes: dict[str | None, int] = {name: code for code, name in enumerate(names)}
    codes[None] = -1
    return Coded(names, list(map(codes.__getitem__, values)))
