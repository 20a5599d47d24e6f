"""What a segment knows of the messages it speaks for, stored or not: its footer, and how that is counted. Pure.

Arrivals and engines' readings are not stored, so what will be asked of them later is counted while they pass: how many
requests began, and how far the engines' own counters rose. Counts of messages that came twice within a segment are
taken once; twice in two segments shows as overlapping ``seqs``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from collector.schema.codec import Batch, Coded
from collector.schema.events import Kind, Outcome
from streams.capture.seqs import SeqRanges

MODELS_MAX = 1000  # per service and segment; the rest is counted as OTHER
OTHER = "other"
_FEW = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSeen:
    """What a segment saw of one (agent, boot, key): its sequence numbers over all kinds, and its drops.

    ``arrivals`` and ``completions`` count events; None in segments of versions that did not count them.
    """

    agent: str
    boot: str
    key: str
    seqs: Sequence[tuple[int, int]]
    dropped: int
    arrivals: int | None = None
    completions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSeen:
    """An engine's own counters of requests that ended, over one segment.

    Attributes:
        node: with ``engine``, which one it is within its service.
        first: counters of its first reading, (ok, failed); ``last`` of its last.
        rose: by how much they rose from first to last; a counter that fell began anew at 0.
        resets: times that happened.
        first_at: time of the first reading (us), ``last_at`` of the last.
    """

    node: str
    engine: str
    first: tuple[int, int]
    last: tuple[int, int]
    rose: tuple[int, int]
    resets: int
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSeen:
    """What a segment saw of one service.

    Attributes:
        newest_us: the furthest event time of its messages; None if none said one.
        outcomes: completions by outcome; ``reasons`` and ``models`` likewise, where they are known.
        before_readings: completions that ended well and came before the segment's first reading of an engine of it;
            ``after_readings`` after its last. All of them in both, where there is none.
        engines: by what was read of them.
    """

    newest_us: int | None
    outcomes: Mapping[str, int]
    reasons: Mapping[str, int]
    models: Mapping[str, int]
    before_readings: int
    after_readings: int
    engines: Sequence[EngineSeen]

    def served(self) -> int:
        """Return how many completions ended well: what every engine counts, too (a refusal none counts)."""
        return self.outcomes.get(Outcome.OK, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What a segment holds. Times are microseconds since the epoch, None where there are no rows.

    ``services`` is None in segments of versions that did not count by service.
    """

    last_offset: int
    messages: int
    rows: int
    first_submitted_at: int | None
    last_submitted_at: int | None
    kinds: dict[str, int]
    bad: dict[str, int]
    streams: Sequence[StreamSeen]
    services: Mapping[str, ServiceSeen] | None = None


def footer_of(raw: dict[str, Any]) -> Footer:
    """Return the footer that ``dataclasses.asdict`` gave, of this version or an older one.

    Raises ``TypeError``, ``KeyError``, ``ValueError`` or ``AttributeError`` for anything else.
    """
    streams = [stream_of(stream) for stream in raw["streams"]]
    services = raw.get("services")
    if services is not None:
        services = {key: service_of(service) for key, service in services.items()}
    return Footer(**{**raw, "streams": streams, "services": services})


def stream_of(raw: Mapping[str, Any]) -> StreamSeen:
    """Return the stream that ``dataclasses.asdict`` gave; raises like ``footer_of``."""
    return StreamSeen(**{**raw, "seqs": [(int(low), int(high)) for low, high in raw["seqs"]]})


def service_of(raw: Mapping[str, Any]) -> ServiceSeen:
    """Return the service that ``dataclasses.asdict`` gave; raises like ``footer_of``."""
    engines = [
        EngineSeen(**{**engine, **{name: _pair(engine[name]) for name in ("first", "last", "rose")}})
        for engine in raw["engines"]
    ]
    return ServiceSeen(**{**raw, "engines": engines})


def _pair(raw: Sequence[Any]) -> tuple[int, int]:
    ok, failed = raw
    return int(ok), int(failed)


@dataclass(slots=True)
class StreamTally:
    """A ``StreamSeen`` in the making, and how much event time it covers by its agent's clock."""

    seqs: SeqRanges = field(default_factory=SeqRanges)
    dropped: int = 0
    arrivals: int = 0
    completions: int = 0
    first_time: int | None = None
    last_time: int = 0

    def add(self, batch: Batch, time_us: int | None) -> bool:
        """Count a message; False if it was counted before. ``time_us``: see ``clock_time``."""
        new = self.seqs.add(batch.seq)
        self.dropped = max(self.dropped, batch.dropped)
        if new:
            self.arrivals += batch.n if batch.kind is Kind.ARRIVAL else 0
            self.completions += batch.n if batch.kind is Kind.COMPLETION else 0
        if time_us is not None:
            self.first_time = time_us if self.first_time is None else self.first_time
            self.last_time = max(self.last_time, time_us)
        return new

    def span_us(self) -> int:
        """Return the event time from its first message to its furthest."""
        return 0 if self.first_time is None else self.last_time - self.first_time

    def seen(self, stream: tuple[str, str, str]) -> StreamSeen:
        """Return it as (agent, boot, key) = ``stream``."""
        agent, boot, key = stream
        counts = {"arrivals": self.arrivals, "completions": self.completions}
        return StreamSeen(agent=agent, boot=boot, key=key, seqs=self.seqs.ranges(), dropped=self.dropped, **counts)


def event_time(batch: Batch) -> int | None:
    """Return how far a message takes its agent's event time: its promise, or else its newest submission."""
    if batch.watermark is None and batch.n and batch.kind is not Kind.RESOURCE:
        return int(max(batch.columns["submitted_at"]))  # type: ignore[arg-type] # decode: ints
    return batch.watermark


def clock_time(batch: Batch) -> int | None:
    """Return what a message says of its agent's clock: its event time, or else its newest reading's time.

    For the length of a segment only: a reading promises nothing of requests.
    """
    if batch.watermark is None and batch.n and batch.kind is Kind.RESOURCE:
        return int(max(batch.columns["at"]))  # type: ignore[arg-type] # decode: ints
    return event_time(batch)


@dataclass(slots=True)
class _Engine:
    first: tuple[int, int]
    last: tuple[int, int]
    first_at: int
    last_at: int
    rose: tuple[int, int] = (0, 0)
    resets: int = 0


@dataclass(slots=True)
class ServiceTally:
    """A ``ServiceSeen`` in the making."""

    newest_us: int | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    before_readings: int = 0
    after_readings: int = 0
    engines: dict[tuple[str, str], _Engine] = field(default_factory=dict)

    def add(self, batch: Batch, time_us: int | None) -> None:
        """Count a message that is not a repetition."""
        if time_us is not None:
            self.newest_us = time_us if self.newest_us is None else max(self.newest_us, time_us)
        if batch.n and batch.kind is Kind.COMPLETION:
            self._add_completions(batch)
        elif batch.n and batch.kind is Kind.RESOURCE:
            self._add_readings(batch)

    def _add_completions(self, batch: Batch) -> None:
        outcomes = _counts(batch, "outcome")
        self.outcomes.update(outcomes)
        self.reasons.update(_counts(batch, "reason"))
        self.models.update(_counts(batch, "model"))
        served = outcomes.get(Outcome.OK, 0)
        self.after_readings += served
        if not self.engines:
            self.before_readings += served

    def _add_readings(self, batch: Batch) -> None:
        names = ("at", "node", "engine", "gpu", "requests_ok_total", "requests_failed_total")
        at, node, engine, gpu, ok, failed = (_values(batch, name) for name in names)
        for i in range(batch.n):
            if gpu[i] is None and (ok[i] is not None or failed[i] is not None):
                self._read((node[i], engine[i] or ""), at[i], (ok[i] or 0, failed[i] or 0))

    def _read(self, place: tuple[str, str], at: int, counters: tuple[int, int]) -> None:
        self.after_readings = 0
        engine = self.engines.get(place)
        if engine is None:
            self.engines[place] = _Engine(first=counters, last=counters, first_at=at, last_at=at)
        elif at > engine.last_at:
            rose, reset = rise(engine.last, counters)
            engine.rose = (engine.rose[0] + rose[0], engine.rose[1] + rose[1])
            engine.resets += reset
            engine.last, engine.last_at = counters, at

    def rose(self) -> bool:
        """Return whether a counter of an engine rose between two readings."""
        return any(engine.rose != (0, 0) for engine in self.engines.values())

    def seen(self) -> ServiceSeen:
        """Return what was counted so far."""
        models = dict(self.models.most_common(MODELS_MAX))
        if len(self.models) > MODELS_MAX:
            models[OTHER] = models.get(OTHER, 0) + self.models.total() - sum(models.values())
        return ServiceSeen(
            newest_us=self.newest_us,
            outcomes=dict(self.outcomes),
            reasons=dict(self.reasons),
            models=models,
            before_readings=self.before_readings,
            after_readings=self.after_readings,
            engines=[
                EngineSeen(
                    node=node,
                    engine=name,
                    first=e.first,
                    last=e.last,
                    rose=e.rose,
                    resets=e.resets,
                    first_at=e.first_at,
                    last_at=e.last_at,
                )
                for (node, name), e in self.engines.items()
            ],
        )


def rise(before: tuple[int, int], now: tuple[int, int]) -> tuple[tuple[int, int], bool]:
    """Return by how much (ok, failed) rose, and whether the engine was started anew, its counters at 0, in between.

    >>> rise((5, 1), (8, 1)), rise((5, 1), (2, 0))
    (((3, 0), False), ((2, 0), True))
    """
    if now[0] < before[0] or now[1] < before[1]:
        return now, True
    return (now[0] - before[0], now[1] - before[1]), False


def _counts(batch: Batch, name: str) -> dict[str, int]:
    column = batch.columns.get(name)
    if not isinstance(column, Coded):
        return {}
    codes, values = list(column.codes), column.values
    few = len(values) <= _FEW  # one after the other in C is many times faster than a Counter
    counted = {code: codes.count(code) for code in range(len(values))} if few else Counter(codes)
    found: dict[str, int] = {}
    for code, n in counted.items():
        if code >= 0 and n:
            found[values[code]] = found.get(values[code], 0) + n
    return found


def _values(batch: Batch, name: str) -> Sequence[Any]:
    column = batch.columns.get(name)
    if column is None:
        return [None] * batch.n
    return column.texts() if isinstance(column, Coded) else column
