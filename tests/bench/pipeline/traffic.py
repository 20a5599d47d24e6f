"""The events of the pipeline benchmark: the same ones as batches of any size, or one to a message.

Event k of a service is the same whatever is asked for: arrivals (even) and completions (odd) in order of event time,
``rate`` a second. So counts per service and 10 s can be compared between all who were given the same first events.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import orjson

from collector.schema.codec import Batch, Coded, Encoding, encode
from collector.schema.events import API_LOG, Kind

SECOND = 1_000_000
START = 1_700_000_000 * SECOND
SERVICES = tuple(f"svc-{i}" for i in range(4))
MODELS = ("llama-3-70b", "mixtral-8x7b")
PANE = 10 * SECOND

Counts = Counter[tuple[str, int]]  # (service, start of the 10 s in us) -> events


@dataclass(slots=True)
class Events:
    """The first ``n`` events of one service: times, and everything random about them."""

    service: str
    n: int
    rate: float
    at: list[int] = field(init=False)
    pick: list[int] = field(init=False)  # 16 random bits each

    def __post_init__(self) -> None:
        rng = random.Random(self.service)
        steps = (1 + int(rng.expovariate(self.rate) * SECOND) for _ in range(self.n))
        self.at = [START + step for step in accumulate(steps)]
        self.pick = [rng.getrandbits(16) for _ in range(self.n)]

    def counts(self) -> Counts:
        """Events per 10 s."""
        return Counter((self.service, at // PANE * PANE) for at in self.at)

    def batches(self, size: int) -> Iterator[Batch]:
        """Messages as an agent sends them: completions, arrivals with the watermark; at last a promise for all."""
        seq = 0
        for start in range(0, self.n, 2 * size):
            end = min(start + 2 * size, self.n)
            for kind, picked in (
                (Kind.COMPLETION, range(start + 1, end, 2)),
                (Kind.ARRIVAL, range(start, end, 2)),
            ):
                columns = self._columns(kind, picked)
                yield self._batch(kind, seq, columns, len(picked), self.at[end - 1] if kind is Kind.ARRIVAL else None)
                seq += 1
        yield self._batch(Kind.ARRIVAL, seq, {}, 0, self.at[-1] + 20 * SECOND)

    def _batch(self, kind: Kind, seq: int, columns: dict[str, Any], n: int, watermark: int | None) -> Batch:
        return Batch(
            agent="node-1", boot="b", key=self.service, seq=seq, kind=kind, n=n, watermark=watermark, columns=columns
        )

    def _columns(self, kind: Kind, picked: Sequence[int]) -> dict[str, Any]:
        at = [self.at[k] for k in picked]
        pick = [self.pick[k] for k in picked]
        n = len(at)
        columns: dict[str, Any] = {
            "id": [f"chatcmpl-{time:x}{bits:04x}" for time, bits in zip(at, pick, strict=True)],
            "model": Coded(MODELS, [bits & 1 for bits in pick]),
            "log_type": Coded([API_LOG], [0] * n),
            "request_tokens": [10 + bits % 3000 for bits in pick],
            "source": Coded(["proxy"], [0] * n),
            "node": Coded(["node-1"], [0] * n),
        }
        if kind is Kind.ARRIVAL:
            return columns | {"submitted_at": at}
        failed = [bits % 10 == 0 for bits in pick]
        submitted = [time - 100_000 - 50 * bits for time, bits in zip(at, pick, strict=True)]
        return columns | {
            "submitted_at": submitted,
            "first_token_at": [None if bad else time + 90_000 for bad, time in zip(failed, submitted, strict=True)],
            "ended_at": at,
            "response_tokens": [0 if bad else 1 + bits % 700 for bad, bits in zip(failed, pick, strict=True)],
            "stream": [True] * n,
            "outcome": Coded(["ok", "failed"], [int(bad) for bad in failed]),
            "reason": Coded(["overloaded"], [int(bad) - 1 for bad in failed]),
            "http_status": [503 if bad else 200 for bad in failed],
        }

    def single(self) -> Iterator[bytes]:
        """One JSON object per event, then one far ahead that closes every window (not to be counted)."""
        for k, (at, bits) in enumerate(zip(self.at, self.pick, strict=True)):
            yield orjson.dumps(
                {
                    "id": f"chatcmpl-{at:x}{bits:04x}",
                    "service": self.service,
                    "kind": "completion" if k % 2 else "arrival",
                    "model": MODELS[bits & 1],
                    "at": at,
                    "request_tokens": 10 + bits % 3000,
                }
            )
        yield orjson.dumps({"service": self.service, "kind": "end", "at": self.at[-1] + 3600 * SECOND})


def in_turn(streams: Sequence[Iterator[Any]]) -> Iterator[tuple[int, Any]]:
    """One item of each stream in turn, with the stream's number."""
    for turn in zip(*streams, strict=True):
        yield from enumerate(turn)


def batch_messages(n: int, size: int, *, rate: float, encoding: Encoding) -> Iterator[tuple[bytes, bytes]]:
    """Key and body of every message of ``n`` events of each service."""
    streams = [Events(service, n, rate).batches(size) for service in SERVICES]
    for place, batch in in_turn(streams):
        yield SERVICES[place].encode(), encode(batch, encoding)


def single_messages(n: int, *, rate: float) -> Iterator[tuple[bytes, bytes]]:
    """The same events, one to a message."""
    for place, body in in_turn([Events(service, n, rate).single() for service in SERVICES]):
        yield SERVICES[place].encode(), body


def expected(n: int, *, rate: float) -> Counts:
    """Events per service and 10 s among the first ``n`` of each service."""
    total: Counts = Counter()
    for service in SERVICES:
        total += Events(service, n, rate).counts()
    return total
