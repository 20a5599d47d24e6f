"""Everything known about one service. Skeleton: totals, offset and duplicates work; windows and bursts follow."""

from collections import Counter
from typing import Any

from collector.schema.codec import Batch, Coded
from collector.schema.events import Kind, Outcome
from streams.processors.bursts import BurstStatus
from streams.processors.ledger import Ledger
from streams.processors.outputs import Episode, WindowRow
from streams.processors.settings import AnalysisSettings
from streams.processors.totals import ClassKey, ClassTotals
from streams.snapshot import BadSnapshot, decode, encode


class ServiceState:
    """One service's analysis, fed message by message in source order."""

    def __init__(self, service: str, settings: AnalysisSettings) -> None:
        self.service = service
        self.settings = settings
        self.offset = -1
        self.totals: dict[ClassKey, ClassTotals] = {}
        self.latest: dict[ClassKey, WindowRow] = {}
        self._applied: set[tuple[str, str, str, int]] = set()
        self._watermark: int | None = None
        self._messages = self._duplicates = self._replayed = 0

    def apply(self, batch: Batch, offset: int) -> list[WindowRow | Episode]:
        """Apply one message; return the rows and episodes that became final."""
        if offset <= self.offset:
            self._replayed += 1
            return []
        self.offset = offset
        self._messages += 1
        if batch.identity in self._applied:
            self._duplicates += 1
            return []
        self._applied.add(batch.identity)
        self._watermark = max(self._watermark or 0, batch.watermark or 0)
        for i in range(batch.n):
            model, log_type = batch.columns.get("model"), batch.columns["log_type"]
            assert isinstance(log_type, Coded)  # noqa: S101 - skeleton
            texts = model.texts() if isinstance(model, Coded) else [None] * batch.n
            key = (texts[i] or "unknown", log_type.values[log_type.codes[i]])
            total = self.totals.setdefault(key, ClassTotals())
            if batch.kind is Kind.ARRIVAL:
                total.arrivals += 1
            else:
                outcome = batch.columns["outcome"]
                assert isinstance(outcome, Coded)  # noqa: S101 - skeleton
                name = outcome.values[outcome.codes[i]]
                total.completions[name] += 1
                if name == Outcome.FAILED:
                    total.failures["unknown"] += 1
        return []

    @property
    def burst(self) -> BurstStatus:
        """Where the burst detector stands."""
        return BurstStatus(active=False, z=None, baseline_rate=None, rate_10s=0.0, episodes_total=0, onset=None)

    @property
    def ledger(self) -> Ledger:
        """What happened to the messages so far."""
        return Ledger(
            messages=self._messages,
            duplicates=self._duplicates,
            replayed=self._replayed,
            misplaced=0,
            missing=0,
            late={"counts": 0, "ordered": 0},
            future=0,
            dropped_by_agents=0,
            watermark=self._watermark,
            agents=1,
            agents_idle=0,
        )

    def snapshot(self) -> bytes:
        """Return the complete state as bytes."""
        totals = [
            [*key, t.arrivals, dict(t.completions), dict(t.failures), t.request_tokens, t.response_tokens]
            for key, t in self.totals.items()
        ]
        facts: dict[str, Any] = {
            "service": self.service,
            "offset": self.offset,
            "counts": [self._messages, self._duplicates, self._watermark],
            "applied": sorted(self._applied),
            "totals": totals,
        }
        return encode(facts, {})

    @classmethod
    def restore(cls, body: bytes, settings: AnalysisSettings) -> "ServiceState":
        """Return the state in ``body``. Raises ``BadSnapshot``."""
        facts, _ = decode(body)
        try:
            state = cls(facts["service"], settings)
            state.offset = facts["offset"]
            state._messages, state._duplicates, state._watermark = facts["counts"]
            state._applied = {(a, b, k, s) for a, b, k, s in facts["applied"]}
            for model, log_type, arrivals, completions, failures, request, response in facts["totals"]:
                state.totals[(model, log_type)] = ClassTotals(
                    arrivals=arrivals,
                    completions=Counter(completions),
                    failures=Counter(failures),
                    request_tokens=request,
                    response_tokens=response,
                )
        except (KeyError, TypeError, ValueError) as error:
            raise BadSnapshot(f"malformed: {type(error).__name__}") from None
        return state
