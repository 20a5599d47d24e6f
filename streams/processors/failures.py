"""When does a service fail more than it may? Lower bounds of the failure ratio against a budget.

Input: completions and failures per second of event time (when the request ended), each second once, in order.
With b the failure budget (a ratio):

- Onset: over 5 min the lower 95 % bound of the failure ratio (Wilson) exceeds 3 b, over 1 min the one-sided lower
  95 % bound exceeds b, and at least 2 requests failed in that minute. The bounds know how little a few completions
  say, so there is no warm-up: 1 failure never sounds, 2 out of 2 do.
- The episode is said to begin with the trailing span whose excess is greatest: the log-likelihood ratio of the
  span's own failure ratio to b, over all spans of up to 5 min that begin with a failure.
- End: a sum of log-likelihood ratios per completion, of the episode's ratio p against b (Page's CUSUM, turned
  round: a failure adds ln(p/b), a success takes off ln((1-b)/(1-p)), p kept within 3 b and 1/2). The episode is said
  to end with the second in which the sum was greatest, and told so when the sum has lost 6 since (400 to 1 for the
  budget being kept again) and 60 s have passed, or 5 min without a new greatest. The sum never falls further than
  that, so that failing again within the minute goes on with the same episode. Simulated (10-min outages of 20 % and
  more, 0.5 to 5 requests/s): told 60 s after their end and at most 6 s off in the median, where "the 1-min bound is
  below b for 60 s" tells it after 110 to 120 s and is up to 29 s off.
- What belonged to an episode never begins the next one: after it, windows start with the quiet.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import log
from typing import Any

from streams.processors.bursts import SECOND_US
from streams.processors.episodes import FailureEpisode
from streams.processors.settings import AnalysisSettings
from streams.stats.wilson import Z_95, wilson_bounds

LONG_S = 300
SHORT_S = 60
CLEAR_S = 60
FAILURES_MIN = 2
_EXCESS = 3.0  # times the budget, over the long window
_Z_SHORT = 1.6448536269514722  # one-sided 95 %
_EVIDENCE = 6.0
_RATIO_MAX = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStatus:
    """Where the detector stands after the last complete second of event time.

    Attributes:
        active: a failure episode is on; ``onset`` is then its start (us), else None.
        budget_ratio: the failure ratio allowed.
        episodes_total: failure episodes begun so far.
    """

    active: bool
    onset: int | None
    budget_ratio: float
    episodes_total: int


class FailureDetector:
    """The detector described at the top of this file. Its episodes say nothing of what they are attributed to."""

    def __init__(self, service: str, settings: AnalysisSettings) -> None:
        self._service = service
        self._budget = settings.failure_budget_of(service)
        self._episodes = 0
        self._forget()

    def _forget(self) -> None:
        self._ended = [0] * LONG_S  # completions of the last five minutes, at second % LONG_S
        self._failed = [0] * LONG_S
        self._reasons: dict[int, Counter[str]] = {}  # of the seconds in them with failures
        self._long = [0, 0]  # completions, failures
        self._short = [0, 0]
        self._episode: FailureEpisode | None = None
        self._last = 0  # the first second after what belongs to the episode so far
        self._ratio = 0.0  # p of the sum
        self._sum = 0.0  # its value, less the greatest it has had
        self._pending = [0, 0]  # completions and failures since it was greatest: part of the episode if it goes on
        self._pending_reasons: Counter[str] = Counter()

    @property
    def status(self) -> FailureStatus:
        """Where the detector stands."""
        return FailureStatus(
            active=self._episode is not None,
            onset=self._episode.onset if self._episode else None,
            budget_ratio=self._budget,
            episodes_total=self._episodes,
        )

    @property
    def idle(self) -> bool:
        """True if seconds without completions would change nothing."""
        return self._episode is None and not self._long[0]

    @property
    def calm(self) -> bool:
        """True if no episode is on, and nothing failed for ``SHORT_S``."""
        return self._episode is None and not self._short[1]

    def skip(self, second: int, ended: Sequence[int]) -> None:
        """Do what ``step`` does with seconds in which nothing failed, faster. Only while ``calm``."""
        ring, failed, short, long = self._ended, self._failed, self._short, self._long
        for at, n in enumerate(ended, second):
            place = at % LONG_S
            short[0] += n - ring[(at - SHORT_S) % LONG_S]
            long[0] += n - ring[place]
            ring[place] = n
            if failed[place]:
                long[1] -= failed[place]
                failed[place] = 0
                self._reasons.pop(at - LONG_S, None)

    def start_over(self) -> list[FailureEpisode]:
        """Forget all but how many episodes there were, for any seconds to come; return the end of a running one."""
        episode, last = self._episode, self._last
        self._forget()
        return [] if episode is None else [replace(episode, state="end", end=last * SECOND_US)]

    def failed_at(self, second: int) -> int:
        """Return the failures of a second taken not more than ``SHORT_S`` ago."""
        return self._failed[second % LONG_S]

    def step(self, second: int, n: int, k: int, reasons: Mapping[str, int]) -> list[FailureEpisode]:
        """Take the ``n`` completions and ``k`` failures of the next second; return the onsets and ends found.

        ``reasons`` says why they failed. A second in which nothing ended may be left out only while ``idle``.
        """
        ended, failed, short, long = self._ended, self._failed, self._short, self._long
        place, leaving = second % LONG_S, (second - SHORT_S) % LONG_S
        short[0] += n - ended[leaving]
        short[1] += k - failed[leaving]
        long[0] += n - ended[place]
        long[1] += k - failed[place]
        if failed[place]:
            self._reasons.pop(second - LONG_S, None)
        ended[place], failed[place] = n, k
        if reasons:
            self._reasons[second] = Counter(reasons)
        if self._episode is not None:
            return self._follow(second, n, k, reasons)
        return [self._begin(second)] if k and self._alarming() else []

    def _alarming(self) -> bool:
        (short_n, short_k), (long_n, long_k) = self._short, self._long
        if short_k < FAILURES_MIN:
            return False
        short, long = wilson_bounds(short_k, short_n, _Z_SHORT), wilson_bounds(long_k, long_n, Z_95)
        return short is not None and short[0] > self._budget and long is not None and long[0] > _EXCESS * self._budget

    def _begin(self, second: int) -> FailureEpisode:
        onset, completions, failures = self._rise(second)
        bounds = wilson_bounds(self._long[1], self._long[0], Z_95)
        reasons: Counter[str] = Counter()
        for at, counts in self._reasons.items():
            if at >= onset:
                reasons.update(counts)
        self._episodes += 1
        self._ratio = max(_EXCESS * self._budget, min(failures / completions, _RATIO_MAX))
        self._last = second + 1
        self._sum, self._pending, self._pending_reasons = 0.0, [0, 0], Counter()
        self._episode = FailureEpisode(
            service=self._service,
            state="onset",
            onset=onset * SECOND_US,
            detected=(second + 1) * SECOND_US,
            end=None,
            budget_ratio=self._budget,
            failure_ratio_lower=bounds[0] if bounds else 0.0,
            peak_ratio=self._short[1] / self._short[0],
            completions=completions,
            failures=failures,
            failures_by_reason=dict(sorted(reasons.items())),
        )
        return self._episode

    def _rise(self, second: int) -> tuple[int, int, int]:
        """Return the second in which the excess began, and the completions and failures since."""
        n = k = 0
        best, rise = float("-inf"), (second, 1, 1)
        for at in range(second, second - LONG_S, -1):
            n += self._ended[at % LONG_S]
            if failed := self._failed[at % LONG_S]:
                k += failed
                if k > n * self._budget and (score := _excess(k, n, self._budget)) > best:
                    best, rise = score, (at, n, k)
        return rise

    def _follow(self, second: int, n: int, k: int, reasons: Mapping[str, int]) -> list[FailureEpisode]:
        episode = self._episode
        assert episode is not None  # noqa: S101 - only called during an episode
        self._pending[0] += n
        self._pending[1] += k
        self._pending_reasons.update(reasons)
        gain, loss = log(self._ratio / self._budget), log((1 - self._budget) / (1 - self._ratio))
        self._sum = max(self._sum + k * gain - (n - k) * loss, -_EVIDENCE)
        if k and self._sum >= 0:
            self._go_on(second, episode)
            return []
        quiet_s = second + 1 - self._last
        if quiet_s < CLEAR_S or (quiet_s < LONG_S and self._sum > -_EVIDENCE):
            return []
        self._episode = None
        self._forget_before(self._last, second)
        return [replace(episode, state="end", end=self._last * SECOND_US)]

    def _go_on(self, second: int, episode: FailureEpisode) -> None:
        """Take what is pending into the episode: it lasts at least until ``second``."""
        short_n, short_k = self._short
        ratio = short_k / short_n if short_k >= FAILURES_MIN else 0.0
        self._episode = replace(
            episode,
            completions=episode.completions + self._pending[0],
            failures=episode.failures + self._pending[1],
            failures_by_reason=dict(sorted((Counter(episode.failures_by_reason) + self._pending_reasons).items())),
            peak_ratio=max(episode.peak_ratio, ratio),
        )
        self._last = second + 1
        self._sum, self._pending, self._pending_reasons = 0.0, [0, 0], Counter()

    def _forget_before(self, first: int, second: int) -> None:
        """Keep the seconds from ``first`` to ``second`` only."""
        for at in range(second - LONG_S + 1, first):
            self._ended[at % LONG_S] = self._failed[at % LONG_S] = 0
            self._reasons.pop(at, None)
        rings = (self._ended, self._failed)
        newest = [(second - back) % LONG_S for back in range(SHORT_S)]
        self._long = [sum(ring) for ring in rings]
        self._short = [sum(ring[place] for place in newest) for ring in rings]

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        facts = {name: getattr(self, f"_{name}") for name in _STATE}
        episode = asdict(self._episode) if self._episode else None
        return facts | {"reasons": list(self._reasons.items()), "episode": episode}

    def load(self, facts: dict[str, Any]) -> None:
        """Take over what ``dump`` gave. Raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        for name in _STATE:
            setattr(self, f"_{name}", facts[name])
        if not len(self._ended) == len(self._failed) == LONG_S:
            raise ValueError("recent completions and failures must be given for each second")
        self._pending_reasons = Counter(facts["pending_reasons"])
        self._reasons = {second: Counter(counts) for second, counts in facts["reasons"]}
        self._episode = FailureEpisode(**facts["episode"]) if facts["episode"] else None


_STATE = ("episodes", "ended", "failed", "long", "short", "last", "ratio", "sum", "pending", "pending_reasons")


def _excess(failures: int, completions: int, budget: float) -> float:
    """Return the log-likelihood ratio of the failure ratio seen to ``budget``."""
    p = failures / completions
    score = failures * log(p / budget)
    return score + (completions - failures) * log((1 - p) / (1 - budget)) if failures < completions else score
