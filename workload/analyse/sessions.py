"""Sessions: turns, the time between them, and how the context grows. Pure."""

import numpy as np
from numpy.typing import NDArray

from workload.analyse.facts import Sessions
from workload.analyse.quantiles import quantiles
from workload.analyse.tallies import seconds
from workload.analyse.tally import Tally
from workload.trace.columns import UNKNOWN, Trace

_PMF_TURNS = 20


def sessions(trace: Trace) -> Sessions:
    """Return the facts of ``facts.Sessions`` of a trace in order of time."""
    named = trace.session.codes != UNKNOWN if trace.session.names else np.zeros(len(trace), np.bool_)
    rows = np.flatnonzero(named)
    rows = rows[np.argsort(trace.session.codes[rows], kind="stable")]
    code = trace.session.codes[rows]
    begins = np.concatenate([[True], code[1:] != code[:-1]])[: len(rows)]
    first = np.flatnonzero(begins)
    turns = np.diff(first, append=len(rows))
    later = np.flatnonzero(~begins)
    time, elapsed, tokens = trace.submitted_us[rows], trace.elapsed_us[rows], trace.request_tokens[rows]
    answered = elapsed[later - 1] != UNKNOWN
    think = (time[later] - time[later - 1] - elapsed[later - 1])[answered]
    growth = _growth(tokens, later)
    lasted = time[first + turns - 1] - time[first] if len(first) else time[:0]
    n = len(first)
    pmf = np.bincount(turns, minlength=_PMF_TURNS + 1)[1 : _PMF_TURNS + 1] / n if n else np.zeros(0)
    return Sessions(
        requests=len(rows),
        sessions=n,
        turns=Tally.of(turns).numbers(law=True, whole=True),
        turns_pmf=pmf.tolist(),
        single_ratio=float(np.mean(turns == 1)) if n else None,
        later_turn_ratio=len(later) / len(rows) if n else None,
        gap_s=seconds(time[later] - time[later - 1]).numbers(),
        think_s=seconds(think[think >= 0]).numbers(),
        overlapping=int(np.count_nonzero(think < 0)),
        duration_s=seconds(lasted[turns > 1]).numbers(),
        first_request=_known(tokens[first]).numbers(whole=True),
        later_request=_known(tokens[later]).numbers(whole=True),
        growth_tokens=quantiles(growth),
        shrinks_ratio=float(np.mean(growth < 0)) if len(growth) else None,
    )


def _growth(tokens: NDArray[np.int32], later: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return by how much each later turn's request is longer than the one before, where both are known and above 0."""
    now, before = tokens[later].astype(np.int64), tokens[later - 1].astype(np.int64)
    growth: NDArray[np.int64] = (now - before)[(now > 0) & (before > 0)]
    return growth


def _known(tokens: NDArray[np.int32]) -> Tally:
    return Tally.of(tokens[tokens != UNKNOWN])
