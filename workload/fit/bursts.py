"""Burst episodes of a class, by the live detector: how often, how long, how much faster. Pure."""

from dataclasses import dataclass
from math import log
from typing import Self

import numpy as np

from streams.processors.scanz import ScanZ
from streams.processors.settings import AnalysisSettings
from workload.fit.candidates import Floats
from workload.fit.lengths import quantiles_of
from workload.model.model import Bursts
from workload.trace.columns import Int64s

WHOLE_S_MAX = 500_000  # a search takes 3 us a second; longer traces are searched in eight parts
EPISODES_MIN = 5
EXCESS_MIN = 0.05  # share of the requests in excess of the baseline: chance alone gives less
_PARTS, _PART_S = 8, 18_000
_TAIL_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Episodes:
    """Bursts found: onset and end (seconds from the trace's start) and by how much faster requests came (mean).

    ``arrivals`` are the requests in each, ``excess`` how many of all are more than the baseline would have brought.
    ``searched_s`` is how much of the trace was searched, ``whole`` whether that was all of it.
    """

    start_s: Floats
    end_s: Floats
    arrivals: Floats
    factor: Floats
    excess: float
    searched_s: float
    whole: bool

    def __len__(self) -> int:
        return len(self.start_s)

    @property
    def per_hour(self) -> float:
        """Episodes per hour of the time searched."""
        return 3600 * len(self) / self.searched_s if self.searched_s else 0.0

    @classmethod
    def none(cls) -> Self:
        """Return what is known of bursts where nobody searched."""
        empty = np.empty(0)
        return cls(start_s=empty, end_s=empty, arrivals=empty, factor=empty, excess=0.0, searched_s=0.0, whole=False)


def find_episodes(times_us: Int64s, *, start_us: int, span_s: float) -> Episodes:
    """Return the bursts of arrivals at ``times_us`` (in order) in ``span_s`` seconds from ``start_us`` on.

    ``scanz`` as it runs live, on counts per second: with its warm-up of 5 minutes, so that a burst at the very start
    is missed. In a trace of more than ``WHOLE_S_MAX`` seconds it looks into eight parts of 5 hours, spread evenly.
    """
    seconds = int(span_s) + 1
    second = (times_us - start_us) // 1_000_000
    whole = seconds <= WHOLE_S_MAX
    length = seconds if whole else _PART_S
    starts = [0] if whole else [int(i * (seconds - length) / (_PARTS - 1)) for i in range(_PARTS)]
    found: list[tuple[float, ...]] = []
    for start in starts:
        low, high = np.searchsorted(second, (start, start + length))
        counts = np.bincount(second[low:high] - start, minlength=length)
        found += _search(start, counts)
    columns = np.asarray(found, np.float64).reshape(-1, 5).T
    return Episodes(
        start_s=columns[0],
        end_s=columns[1],
        arrivals=columns[2],
        factor=columns[3],
        excess=float(columns[4].sum()),
        searched_s=float(length * len(starts)),
        whole=whole,
    )


def _search(start: int, counts: Int64s) -> list[tuple[float, ...]]:
    detector = ScanZ("", AnalysisSettings())
    told = detector.feed(0, counts.tolist()) + detector.start_over()
    found: list[tuple[float, ...]] = []
    for burst in told:
        if burst.state != "end" or burst.end is None or burst.end <= burst.onset or not burst.baseline_rate:
            continue
        begin = burst.onset // 1_000_000
        end = _last_second(counts, begin, burst.end // 1_000_000, burst.baseline_rate)
        arrivals = float(counts[begin:end].sum())
        usual = burst.baseline_rate * (end - begin)
        if arrivals > usual:
            found.append((start + begin, start + end, arrivals, arrivals / usual, arrivals - usual))
    return found


def _last_second(counts: Int64s, begin: int, end: int, baseline: float) -> int:
    """Return where the rate fell: the detector looks at 10 s at a time, and says so up to 10 s later.

    The likeliest point of change from the episode's rate to the baseline (Poisson counts) in its last 10 s.
    """
    ratio = float(counts[begin:end].mean()) / baseline
    if ratio <= 1:
        return end
    first = max(end - _TAIL_S, begin + 1)
    level = baseline * (ratio - 1) / log(ratio)
    gained = np.append(0.0, np.cumsum(counts[first:end] - level))
    return first + int(gained.argmax())


def matter(episodes: Episodes, n: int) -> bool:
    """Return whether bursts are to be told apart in a class of ``n`` requests: enough of them, and all was searched.

    Where only parts were searched, the windows' own alpha hold the bursts, and adding them would count them twice.
    """
    return episodes.whole and len(episodes) >= EPISODES_MIN and episodes.excess >= EXCESS_MIN * n


def bursts_of(episodes: Episodes, n: int) -> Bursts:
    """Return the model's part for a class of ``n`` requests."""
    return Bursts(
        per_hour=episodes.per_hour,
        duration_s=quantiles_of(episodes.end_s - episodes.start_s),
        factor=quantiles_of(np.round(episodes.factor, 4)),
        source=f"{len(episodes)} episodes found by scanz in {episodes.searched_s / 3600:.3g} h; "
        f"{episodes.excess / n:.1%} of the requests are in excess of the baseline",
    )
