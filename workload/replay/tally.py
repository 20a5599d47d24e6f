"""What a replay measures, in bounded memory. Pure."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from collector.schema.events import Outcome, Reason
from workload.replay.measure import Durations
from workload.replay.record import Record
from workload.replay.sizing import PromptErrors


@dataclass(frozen=True, slots=True)
class Slo:
    """What counts as served well: first token and seconds per further token at most; None: not asked."""

    ttft_s: float | None = None
    tpot_s: float | None = None

    def is_met(self, record: Record) -> bool:
        """True if an answered request was served well. What could not be measured meets no bound."""
        ttft_s, tpot_s = record.first_token_s - record.sent_s, record.tpot_s
        one_token = record.answer.response_tokens == 1  # has no tokens after the first: any bound on them is met
        return (self.ttft_s is None or ttft_s <= self.ttft_s) and (
            self.tpot_s is None or one_token or tpot_s <= self.tpot_s
        )


@dataclass(slots=True)
class Tally:
    """Everything measured so far. ``sent = ok + failed + cancelled + in_flight`` at every moment.

    Requests of the warm-up are counted in ``warm_up`` and nowhere else. Durations: ``ttft`` of all that got a first
    token, ``itl`` and ``tpot`` likewise, ``latency`` of those that ended well; ``send_lag`` from planned to sent,
    ``slot_wait`` the part of it that was waited at the bound, ``session_lag`` by how much an answer that took longer
    than the recorded one moved its session's next turn (sooner counts as 0).
    """

    slo: Slo = field(default_factory=Slo)
    sent: int = 0
    warm_up: int = 0
    began_s: float = 0.0  # where the warm-up ended
    sending_s: float = 0.0  # from there to the latest request
    retries: int = 0
    good: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    failures: Counter[Reason] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    endpoints: dict[str, Counter[str]] = field(default_factory=dict)
    request_tokens: int = 0
    response_tokens: int = 0
    cached_tokens: int = 0
    ttft: Durations = field(default_factory=Durations)
    itl: Durations = field(default_factory=Durations)
    tpot: Durations = field(default_factory=Durations)
    latency: Durations = field(default_factory=Durations)
    send_lag: Durations = field(default_factory=Durations)
    slot_wait: Durations = field(default_factory=Durations)
    session_lag: Durations = field(default_factory=Durations)
    prompts: PromptErrors = field(default_factory=PromptErrors)
    said: str = ""  # what the first failure's server said

    @property
    def in_flight(self) -> int:
        """Requests sent that have not ended."""
        return self.sent - self.outcomes.total()

    def on_start(self, record: Record) -> None:
        """Count a request."""
        if not record.counted:
            self.warm_up += 1
            return
        if self.warm_up and not self.sent:
            self.began_s = record.launched_s
        self.sent += 1
        self.sending_s = max(self.sending_s, record.launched_s - self.began_s)
        self.request_tokens += record.shot.prompt_tokens
        self.slot_wait.add(record.slot_wait_s)
        if record.shot.conversation is not None:
            self.session_lag.add(max(0.0, record.planned_s - record.shot.at_s))

    def on_sent(self, record: Record) -> None:
        """Count how late it left."""
        if record.counted:
            self.send_lag.add(max(0.0, record.sent_s - record.planned_s))

    def on_end(self, record: Record) -> None:
        """Count the end of a request."""
        if not record.counted:
            return
        answer = record.answer
        self.outcomes[answer.outcome] += 1
        self.retries += record.attempts - 1
        if answer.http_status is not None:
            self.statuses[answer.http_status] += 1
        served = self.endpoints.setdefault(answer.endpoint, Counter())
        served.update(sent=1, **{str(answer.outcome): 1})
        if answer.outcome is Outcome.FAILED:
            self.failures[answer.reason or Reason.UNKNOWN] += 1
            self.said = self.said or answer.said
        self.response_tokens += answer.response_tokens or 0
        self.cached_tokens += answer.cached_tokens or 0
        if answer.request_tokens:
            self.prompts.add(record.shot.prompt_tokens, answer.request_tokens)
        self._time(record)

    def _time(self, record: Record) -> None:
        if not math.isnan(record.first_token_s - record.sent_s):
            self.ttft.add(record.first_token_s - record.sent_s)
        for gap_s in record.answer.gaps_s:
            self.itl.add(gap_s)
        if not math.isnan(record.tpot_s):
            self.tpot.add(record.tpot_s)
        if record.answer.outcome is Outcome.OK:
            self.latency.add(record.ended_s - record.sent_s)
            self.good += self.slo.is_met(record)

    def summary(self, *, elapsed_s: float, skipped: Mapping[str, int], interrupted: bool) -> dict[str, Any]:
        """Return the figures of ``--json``: counts, seconds, tokens."""
        return {
            "sent": self.sent,
            "ok": self.outcomes[Outcome.OK],
            "failed": self.outcomes[Outcome.FAILED],
            "cancelled": self.outcomes[Outcome.CANCELLED],
            "failures": {str(reason): count for reason, count in self.failures.most_common()},
            "http_statuses": {str(status): count for status, count in self.statuses.most_common()},
            "first_failure": self.said or None,
            "skipped": dict(skipped),
            "warm_up": self.warm_up,
            "retries": self.retries,
            "interrupted": interrupted,
            "elapsed_s": round(elapsed_s, 3),
            "sending_s": round(self.sending_s, 3),
            "rate_per_s": _rate(self.sent, self.sending_s),
            "request_tokens": self.request_tokens,
            "response_tokens": self.response_tokens,
            "cached_tokens": self.cached_tokens,
            "response_tokens_per_s": _rate(self.response_tokens, elapsed_s - self.began_s),
            "ttft_s": self.ttft.summary(),
            "itl_s": self.itl.summary(),
            "tpot_s": self.tpot.summary(),
            "latency_s": self.latency.summary(),
            "send_lag_s": self.send_lag.summary(),
            "slot_wait_s": self.slot_wait.summary(),
            "session_lag_s": self.session_lag.summary(),
            "prompt_tokens": self.prompts.summary(),
            "goodput": self._goodput(),
            "endpoints": {url: dict(counts) for url, counts in self.endpoints.items()},
        }

    def _goodput(self) -> dict[str, Any] | None:
        if self.slo.ttft_s is None and self.slo.tpot_s is None:
            return None
        return {
            "slo_ttft_s": self.slo.ttft_s,
            "slo_tpot_s": self.slo.tpot_s,
            "good": self.good,
            "ratio": round(self.good / self.sent, 6) if self.sent else None,
            "per_s": _rate(self.good, self.sending_s),
        }


def _rate(count: int, seconds: float) -> float | None:
    return round(count / seconds, 3) if seconds > 0 else None
