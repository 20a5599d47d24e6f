"""Messages for a ``ServiceState``: events cut into batches the way an agent sends them."""

from collections.abc import Iterable, Sequence
from itertools import count

from collector.schema.codec import Batch, columns_of
from collector.schema.events import API_LOG, CONVERSATION_LOG, Arrival, Completion, Kind, Resource
from streams.processors.outputs import Episode, WindowRow
from streams.processors.service import ServiceState

SECOND = 1_000_000
START = 1_700_000_000 * SECOND
SERVICE = "chat"
KEYS = [("small", API_LOG), ("small", CONVERSATION_LOG), ("large", API_LOG)]

_ids = count()


def arrival(at: int, key=KEYS[0]) -> Arrival:
    model, log_type = key
    return Arrival(id=f"r{next(_ids)}", submitted_at=at, model=model, log_type=log_type, source="s", node="n")


def completion(at: int, key=KEYS[0], *, outcome="ok", tokens=(0, 0), submitted_at=None, reason=None) -> Completion:
    """A completion ended at ``at``; with ``submitted_at`` equal to it, ``ended_at`` is left unknown."""
    model, log_type = key
    return Completion(
        id=f"r{next(_ids)}",
        submitted_at=at - 1 if submitted_at is None else submitted_at,
        ended_at=None if submitted_at == at else at,
        model=model,
        log_type=log_type,
        request_tokens=tokens[0],
        response_tokens=tokens[1],
        outcome=outcome,
        reason=reason,
        source="s",
        node="n",
    )


def reading(at: int, *, engine="e0", node="n", **values) -> Resource:
    """An engine's reading at ``at``; ``kv`` is its KV usage."""
    if "kv" in values:
        values["kv_cache_usage_ratio"] = values.pop("kv")
    return Resource(at=at, engine=engine, node=node, service=SERVICE, source="s", **values)


KIND_OF = {Arrival: Kind.ARRIVAL, Completion: Kind.COMPLETION, Resource: Kind.RESOURCE}


class Agent:
    """Numbers the messages of one boot."""

    def __init__(self, name: str = "agent", boot: str = "boot-1", *, key: str = SERVICE) -> None:
        self.name, self.boot, self.key = name, boot, key
        self._seq = count()
        self._watermark: int | None = None

    def message(self, events: Sequence = (), *, watermark: int | None = None, dropped: int = 0) -> Batch:
        """One message; without ``watermark`` it repeats the last one."""
        self._watermark = self._watermark if watermark is None else watermark
        kind = KIND_OF[type(events[0])] if events else Kind.ARRIVAL
        return Batch(
            agent=self.name,
            boot=self.boot,
            key=self.key,
            seq=next(self._seq),
            kind=kind,
            n=len(events),
            watermark=self._watermark,
            dropped=dropped,
            columns=columns_of(kind, events),
        )

    def flush(self, arrivals: Sequence[Arrival], completions: Sequence[Completion], watermark: int) -> list[Batch]:
        """What an agent sends at once: completions first, the watermark with the last message only."""
        messages = [self.message(completions)] if completions else []
        return [*messages, self.message(arrivals, watermark=watermark)]


def rows_of(outputs: Iterable[WindowRow | Episode]) -> dict:
    """{(end, (model, log_type)): {window_s: numbers}}, the form ``brute_force.rows`` has; each row once."""
    found = {}
    for row in outputs:
        if isinstance(row, WindowRow):
            place = (row.end, (row.model, row.log_type))
            assert place not in found, place
            found[place] = row.windows
    return found


def apply_all(state: ServiceState, messages: Iterable[Batch], *, offset: int | None = None) -> list:
    """Apply messages at consecutive offsets; return all outputs."""
    start = state.offset + 1 if offset is None else offset
    return [out for at, message in enumerate(messages, start) for out in state.apply(message, at)]
