"""Is everything in the trace? Requests still open, and what was captured over what the engines counted. Pure.

Both come from footers alone. Requests: those that began (arrivals) without those that ended (completions), by stream.
Engines: how far their own counters of served requests rose between the first reading and the last, next to those that
ended well in the log between the two. Positions in the log stand for time there: at both ends as much may be counted on
one side only as ends between two readings.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.capture.footer import EngineSeen, StreamSeen, rise
from streams.capture.ledger import Removed, joined
from streams.capture.rows import Listed, Only

_NO_READINGS = "no engine of this service was read; give its agent a `vllm` source"
_ONE_READING = "its engines were read only once; a rise needs two readings"
_OLD = "there are segments of an older version, which did not note the engines' counters, among its segments"
_MEANS = (
    "requests that ended well, captured between the engines' first reading and their last, over those the engines "
    "counted meanwhile; at both ends as many may differ as end between two readings. Below 1: requests reached engines "
    "past the agents, or were lost. Above 1: not all engines of the service are read, or messages came twice. Failed "
    "and cancelled ones count on neither side: an engine never hears of a request that was refused before it."
)


def open_requests(listed: Sequence[Listed], removed: Removed, only: Only) -> dict[str, Any]:
    """Return how many requests had begun and not ended by the end of the capture, in all and by (agent, boot, key).

    ``count`` is None where no segment says. It is ``exact`` unless messages are missing or came twice, the capture
    began after its stream, or older segments are among them. A request of an earlier boot of an agent ends no more.
    """
    parts = [removed.streams, *(item.footer.streams for item in sorted(listed, key=lambda item: item.name))]
    wanted = [[stream for stream in part if only.wants(stream.agent, stream.key)] for part in parts]
    twice = {_id(stream) for stream in _overlapping(wanted)}
    latest = {(stream.agent, stream.key): stream.boot for part in wanted for stream in part}
    streams, exact = [], True
    for stream in joined(wanted):
        if stream.arrivals is None or stream.completions is None or not stream.arrivals:
            exact = exact and stream.arrivals == 0  # a source that tells completions only has none open
            continue
        whole = len(stream.seqs) == 1 and stream.seqs[0][0] == 0 and not stream.dropped
        exact = exact and whole and _id(stream) not in twice
        if (count := stream.arrivals - stream.completions) > 0:
            ended = latest[stream.agent, stream.key] != stream.boot
            streams.append(
                {
                    "agent": stream.agent,
                    "boot": stream.boot,
                    "key": stream.key,
                    "open": count,
                    "agent_restarted_since": ended,
                }
            )
    return {"count": sum(stream["open"] for stream in streams), "exact": exact, "streams": streams}


def _id(stream: StreamSeen) -> tuple[str, str, str]:
    return (stream.agent, stream.boot, stream.key)


def _overlapping(parts: Iterable[Sequence[StreamSeen]]) -> list[StreamSeen]:
    """Return streams of which a message lies in two parts."""
    counted: dict[tuple[str, str, str], int] = {}
    united: dict[tuple[str, str, str], StreamSeen] = {}
    for stream in (one for part in parts for one in part):
        counted[_id(stream)] = counted.get(_id(stream), 0) + _size(stream)
        held = united.get(_id(stream))
        united[_id(stream)] = stream if held is None else joined([[held], [stream]])[0]
    return [stream for key, stream in united.items() if _size(stream) != counted[key]]


def _size(stream: StreamSeen) -> int:
    return sum(high - low + 1 for low, high in stream.seqs)


@dataclass(slots=True)
class _Engine:
    last: tuple[int, int]
    first_at: int
    last_at: int
    rose: tuple[int, int] = (0, 0)
    resets: int = 0

    def add(self, seen: EngineSeen) -> None:
        """Go on with what another segment saw. One that is not later adds nothing: it came twice."""
        if seen.first_at < self.last_at:
            return
        step, reset = rise(self.last, seen.first)
        self.rose = (self.rose[0] + step[0] + seen.rose[0], self.rose[1] + step[1] + seen.rose[1])
        self.resets += reset + seen.resets
        self.last, self.last_at = seen.last, seen.last_at


@dataclass(slots=True)
class _Service:
    """What was captured between readings, and what came after the last one so far."""

    captured: int = 0
    after: int = 0
    unknown: bool = False
    unknown_after: bool = False
    engines: dict[tuple[str, str], _Engine] = field(default_factory=dict)


def completeness(listed: Sequence[Listed], only: Only) -> dict[str, Any]:
    """Return, by service, captured over counted, or why that cannot be known."""
    services: dict[str, _Service] = {}
    for item in sorted(listed, key=lambda item: item.name):
        footer = item.footer
        if footer.services is None:
            for key in {stream.key for stream in footer.streams if only.wants_key(stream.key)}:
                services.setdefault(key, _Service()).unknown_after = True
            continue
        for key, seen in footer.services.items():
            if only.wants_key(key):
                service = services.setdefault(key, _Service())
                _go_on(service, seen.engines, seen.served(), (seen.before_readings, seen.after_readings))
    return {key: _verdict(service) for key, service in sorted(services.items())}


def _go_on(service: _Service, engines: Sequence[EngineSeen], served: int, edges: tuple[int, int]) -> None:
    if not engines:
        service.after += served
        return
    before, after = edges
    if service.engines:
        service.captured += service.after + served - after
        service.unknown = service.unknown or service.unknown_after
    else:
        service.captured += served - before - after
    service.after, service.unknown_after = after, False
    for seen in engines:
        held = service.engines.get((seen.node, seen.engine))
        if held is not None:
            held.add(seen)
        else:
            service.engines[seen.node, seen.engine] = _Engine(
                last=seen.last, first_at=seen.first_at, last_at=seen.last_at, rose=seen.rose, resets=seen.resets
            )


def _verdict(service: _Service) -> dict[str, Any]:
    why = None
    if not service.engines:
        why = _OLD if service.unknown_after else _NO_READINGS
    elif service.unknown:
        why = _OLD
    elif all(engine.first_at == engine.last_at for engine in service.engines.values()):
        why = _ONE_READING
    if why is not None:
        return {"ratio": None, "why_unknown": why}
    ok = sum(engine.rose[0] for engine in service.engines.values())
    failed = sum(engine.rose[1] for engine in service.engines.values())
    return {
        "ratio": service.captured / ok if ok else None,
        "why_unknown": None if ok else "the engines' counters did not rise",
        "captured_ok": service.captured,
        "counted_ok": ok,
        "counted_failed": failed,
        "engines": [_engine(place, engine) for place, engine in sorted(service.engines.items())],
        "means": _MEANS,
    }


def _engine(place: tuple[str, str], engine: _Engine) -> Mapping[str, Any]:
    return {
        "node": place[0],
        "engine": place[1],
        "first_reading_us": engine.first_at,
        "last_reading_us": engine.last_at,
        "restarts": engine.resets,
    }
