"""Conversations: how many turns, how long between them, how much the request grows. Pure."""

from dataclasses import dataclass
from math import log

import numpy as np

from workload.fit.candidates import Candidate, Floats, normal_cdf
from workload.fit.gap_families import uniform_distance
from workload.fit.lengths import ROWS_PER_BIN, quantiles_of, tried
from workload.model.model import Candidate as Tried
from workload.model.model import GrowthBin, Sessions
from workload.trace.columns import Int64s, Trace

SESSIONS_MIN = 30
GROWTH_BINS_MIN, GROWTH_BINS_MAX = 4, 8
LATER_TURNS_MIN = 30
_RATIO_MIN = 1e-4  # of a tail in which all have the same number of turns
_TURNS_LISTED_MAX = 40
_SESSIONS_PER_TURN = 5  # numbers of turns seen less often are left to the tail


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsFit:
    """What was found.

    Attributes:
        starts_us: when each session's first request of this class came, in order of time.
        mean_turns: requests per session.
        later_ratio: share of the requests with a session that are not its first.
        think_time: the log-normal fitted to think times, stated beside their quantiles.
        without: requests of the class without a session: each counts as a session of one turn.
    """

    sessions: Sessions
    starts_us: Int64s
    mean_turns: float
    later_ratio: float
    think_time: tuple[Tried, ...]
    without: int


def fit_sessions(trace: Trace) -> SessionsFit | None:
    """Return the sessions of a class's rows (by time); None where there are none to speak of.

    Needs ``SESSIONS_MIN`` sessions, ``LATER_TURNS_MIN`` requests that are not the first of theirs, and a session in
    half of the rows. Think times run from submission to submission. Sessions cut off by the file's ends are taken as
    they are: turns come out a little too few.
    """
    rows = np.flatnonzero(trace.session.codes >= 0)
    if 2 * len(rows) < len(trace):
        return None
    rows = rows[np.argsort(trace.session.codes[rows], kind="stable")]
    code = trace.session.codes[rows]
    first = np.append(True, code[1:] != code[:-1])
    turns = np.diff(np.append(np.flatnonzero(first), len(rows)))
    later = np.flatnonzero(~first)
    if len(turns) < SESSIONS_MIN or len(later) < LATER_TURNS_MIN:
        return None
    think_s = (trace.submitted_us[rows[later]] - trace.submitted_us[rows[later - 1]]) / 1e6
    request = trace.request_tokens[rows].astype(np.int64)
    both = later[(request[later] > 0) & (request[later - 1] > 0)]
    begun = request[first]
    alone = len(trace) - len(rows)
    chances, tail, greatest = _turns(np.append(turns, np.ones(alone, np.int64)))
    starts = np.append(trace.submitted_us[rows[first]], trace.submitted_us[trace.session.codes < 0])
    sessions = Sessions(
        turns=chances,
        tail_ratio=tail,
        turns_max=greatest,
        think_time_s=quantiles_of(think_s),
        growth_tokens=quantiles_of(request[both] - request[both - 1] if len(both) else np.zeros(1)),
        growth_given_request=_growth(request[both - 1], request[both] - request[both - 1]),
        first_request_tokens=quantiles_of(begun[begun > 0] if np.any(begun > 0) else np.ones(1)),
        source=f"{len(turns)} sessions, {len(later)} later turns; think times from submission to submission",
    )
    return SessionsFit(
        sessions=sessions,
        starts_us=np.sort(starts),
        mean_turns=len(trace) / (len(turns) + alone),
        later_ratio=len(later) / len(rows),
        think_time=tried("think_time_s", [_lognormal(think_s)]),
        without=alone,
    )


def _growth(before: Int64s, growth: Int64s) -> tuple[GrowthBin, ...]:
    """Return growth by the lengths it begins from, ranges of as many turns; () where there are too few to tell."""
    number = min(len(before) // ROWS_PER_BIN, GROWTH_BINS_MAX)
    if number < GROWTH_BINS_MIN:
        return ()
    inner = np.quantile(before, np.arange(1, number) / number, method="inverted_cdf")
    edges = np.unique(np.append(inner, before.max()))
    place = np.searchsorted(edges, before)
    return tuple(
        GrowthBin(request_up_to=int(edge), growth_tokens=quantiles_of(growth[place == i]))
        for i, edge in enumerate(edges.tolist())
    )


def _turns(turns: Int64s) -> tuple[tuple[float, ...], float, int]:
    """Return P(1), P(2), ..., the ratio of the geometric tail beyond, and the greatest number.

    The ratio is the likeliest one of the numbers beyond the list: r = m/(1 + m), m their mean excess over the first.
    """
    counts = np.bincount(turns)[1:]
    rare = np.flatnonzero(counts < _SESSIONS_PER_TURN)
    listed = min(int(rare[0]) if len(rare) else len(counts), _TURNS_LISTED_MAX)
    listed = max(listed, 1)
    beyond = turns[turns > listed]
    excess = float((beyond - listed - 1).mean()) if len(beyond) else 0.0
    chances = tuple((counts[:listed] / len(turns)).tolist())
    ratio = max(excess / (1 + excess), _RATIO_MIN) if len(beyond) else 0.0
    return chances, round(ratio, 6), int(turns.max())


def _lognormal(seconds: Floats) -> Candidate:
    """Fit to times above 0 (a second-long clock shows some as 0; their share is in the parameters)."""
    known = seconds[seconds > 0]
    if len(known) < 2:
        return Candidate(family="lognormal", parameters={}, free=2, n=len(known), log_likelihood=0.0)
    logs: Floats = np.log(known)
    mu, sigma = float(logs.mean()), max(float(logs.std()), 1e-9)
    likelihood = -float(logs.sum()) - len(known) * (0.5 * (log(2 * np.pi) + 1) + log(sigma))
    return Candidate(
        family="lognormal",
        parameters={"mu": mu, "sigma": sigma, "zero_ratio": 1 - len(known) / len(seconds)},
        free=2,
        n=len(known),
        log_likelihood=likelihood,
        ks=uniform_distance(normal_cdf((logs - mu) / sigma)),
    )
