"""What a replay measures, in bounded memory: counts and log-bucket histograms. Pure."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from collector.schema.events import Outcome, Reason

BUCKET_RATIO = 1.01  # quantiles are within half a per cent
SMALLEST_S = 1e-6
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class Durations:
    """A histogram of seconds with 1 % buckets: a million values cost as little as a thousand."""

    def __init__(self) -> None:
        self.count = 0
        self.max_s = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count one duration; below a microsecond is a microsecond."""
        self.count += 1
        self.max_s = max(self.max_s, seconds)
        self._buckets[int(math.log(max(seconds, SMALLEST_S) / SMALLEST_S) / math.log(BUCKET_RATIO))] += 1

    def quantile(self, share: float) -> float | None:
        """Return the ``share`` quantile in seconds (nearest rank), None if nothing was counted."""
        rank = max(1, math.ceil(share * self.count))
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return min(float(SMALLEST_S * BUCKET_RATIO ** (bucket + 0.5)), self.max_s)
        return None

    def summary(self) -> dict[str, float] | None:
        """Return p50, p90, p99 and the maximum, None if nothing was counted."""
        if not self.count:
            return None
        figures = {name: round(self.quantile(share) or 0.0, 6) for name, share in QUANTILES.items()}
        return {**figures, "max": round(self.max_s, 6)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one request ended. Durations run from the moment it was sent, not from when it was due."""

    outcome: Outcome
    reason: Reason | None = None
    ttft_s: float | None = None
    latency_s: float
    response_tokens: int | None = None


@dataclass(slots=True)
class Tally:
    """Everything measured so far. ``sent = ok + failed + cancelled + in_flight`` at every moment."""

    sent: int = 0
    sending_s: float = 0.0  # from the beginning to the latest request
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    failures: Counter[Reason] = field(default_factory=Counter)
    request_tokens: int = 0
    response_tokens: int = 0
    ttft: Durations = field(default_factory=Durations)
    latency: Durations = field(default_factory=Durations)
    send_lag: Durations = field(default_factory=Durations)

    @property
    def in_flight(self) -> int:
        """Requests sent that have not ended."""
        return self.sent - self.outcomes.total()

    def on_result(self, result: Result) -> None:
        """Count the end of a request; latencies are those of requests that ended well."""
        self.outcomes[result.outcome] += 1
        if result.outcome is Outcome.FAILED:
            self.failures[result.reason or Reason.UNKNOWN] += 1
        self.response_tokens += result.response_tokens or 0
        if result.ttft_s is not None:
            self.ttft.add(result.ttft_s)
        if result.outcome is Outcome.OK:
            self.latency.add(result.latency_s)

    def summary(self, *, elapsed_s: float, skipped: Mapping[str, int], interrupted: bool) -> dict[str, object]:
        """Return the figures of ``--json``: counts, seconds, tokens."""
        return {
            "sent": self.sent,
            "ok": self.outcomes[Outcome.OK],
            "failed": self.outcomes[Outcome.FAILED],
            "cancelled": self.outcomes[Outcome.CANCELLED],
            "failures": {str(reason): count for reason, count in self.failures.most_common()},
            "skipped": dict(skipped),
            "interrupted": interrupted,
            "elapsed_s": round(elapsed_s, 3),
            "sending_s": round(self.sending_s, 3),
            "rate_per_s": round(self.sent / self.sending_s, 3) if self.sending_s > 0 else None,
            "request_tokens": self.request_tokens,
            "response_tokens": self.response_tokens,
            "ttft_s": self.ttft.summary(),
            "latency_s": self.latency.summary(),
            "send_lag_s": self.send_lag.summary(),
        }
