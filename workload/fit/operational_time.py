"""A class's arrivals cut into windows, with the known changes of the rate taken out of the gaps. Pure.

Generating lays gaps of mean 1 on the axis of expected counts and carries them back to the clock, so fitting does the
reverse: gaps are measured in expected arrivals. Inside a burst episode the expectation is higher. What is left is
the burstiness alpha(t) of the gaps themselves.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workload.fit.bursts import Episodes
from workload.fit.candidates import Floats

_NEVER = 1e-12
_SLIVER = 0.1  # of a window: what is left over at the end belongs to the window before


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows of ``window_s`` from the trace's start, the last one shorter, or longer by up to a tenth.

    Attributes:
        start_s, covered_s: where each begins and how much of it the trace covers, seconds.
        count: arrivals in it; ``rate_per_s`` of them.
        base_per_s: the rate outside episodes.
    """

    window_s: float
    start_s: Floats
    covered_s: Floats
    count: Floats
    base_per_s: Floats

    @property
    def rate_per_s(self) -> Floats:
        """Arrivals per second, episodes included."""
        return self.count / self.covered_s


def cut(times_s: Floats, *, span_s: float, window_s: float, episodes: Episodes | None) -> Windows:
    """Return the windows of a class with arrivals at ``times_s`` seconds from the trace's start."""
    number = max(int(span_s / window_s + 1 - _SLIVER), 1)
    start: Floats = np.arange(number, dtype=np.float64) * window_s
    covered = np.full(number, window_s)
    covered[-1] = max(span_s, 1e-6) - start[-1]
    place = np.minimum((times_s // window_s).astype(np.int64), number - 1)
    count = np.bincount(place, minlength=number).astype(np.float64)
    if episodes is None or not len(episodes):
        return Windows(window_s=window_s, start_s=start, covered_s=covered, count=count, base_per_s=count / covered)
    outside = np.bincount(place[~within(times_s, episodes)], minlength=number)
    edges = np.append(start, start[-1] + covered[-1])
    quiet_s = np.diff(edges - _time_within(edges, episodes))
    # A window that is one long episode: what its episodes are times as fast as.
    usual = np.where(quiet_s > 0, outside / np.maximum(quiet_s, _NEVER), count / covered / episodes.factor.mean())
    return Windows(window_s=window_s, start_s=start, covered_s=covered, count=count, base_per_s=usual)


def against(episodes: Episodes, windows: Windows) -> Episodes:
    """Return the episodes with their factors against ``base_per_s``: what generating multiplies."""
    place = np.minimum((episodes.start_s // windows.window_s).astype(np.int64), len(windows.start_s) - 1)
    base = np.maximum(windows.base_per_s[place], _NEVER)
    usual = episodes.arrivals / (episodes.end_s - episodes.start_s) / base
    return replace(episodes, factor=np.where(windows.base_per_s[place] > 0, usual, episodes.factor))


def within(times_s: Floats, episodes: Episodes) -> NDArray[np.bool_]:
    """Return which times lie inside an episode (onset included, end not)."""
    place = np.searchsorted(episodes.start_s, times_s, side="right") - 1
    return (place >= 0) & (times_s < episodes.end_s[np.maximum(place, 0)])


def _time_within(until_s: Floats, episodes: Episodes) -> Floats:
    """Return how many of the seconds before each of ``until_s`` lie inside episodes (which do not overlap)."""
    lasted = np.append(0.0, np.cumsum(episodes.end_s - episodes.start_s))
    edges = np.ravel(np.column_stack([episodes.start_s, episodes.end_s]))
    return np.asarray(np.interp(until_s, edges, np.ravel(np.column_stack([lasted[:-1], lasted[1:]]))), np.float64)


def expected_until(times_s: Floats, windows: Windows, episodes: Episodes | None) -> Floats:
    """Return the expected number of arrivals before each time: the axis on which gaps have mean 1.

    The rate is ``base_per_s`` of the window, in an episode ``factor`` times that.
    """
    end = float(windows.start_s[-1] + windows.covered_s[-1])
    edges = np.append(windows.start_s, end)
    if episodes is not None and len(episodes):
        edges = np.unique(np.concatenate([edges, episodes.start_s, np.minimum(episodes.end_s, end)]))
    middle = (edges[1:] + edges[:-1]) / 2
    place = np.minimum((middle // windows.window_s).astype(np.int64), len(windows.start_s) - 1)
    rate = windows.base_per_s[place]
    if episodes is not None and len(episodes):
        inside = within(middle, episodes)
        which = np.searchsorted(episodes.start_s, middle[inside], side="right") - 1
        rate[inside] *= episodes.factor[which]
    return np.asarray(np.interp(times_s, edges, np.append(0.0, np.cumsum(np.diff(edges) * rate))), np.float64)
