"""What a fit could not know, or had to decide, in words. Pure."""

from collections.abc import Iterator

import numpy as np

from workload.fit.arrivals import DAY_S, ArrivalsFit, Frame
from workload.fit.burstiness import MOMENTS, POOLED
from workload.fit.bursts import EPISODES_MIN
from workload.fit.sessions import SessionsFit
from workload.report.numbers import duration
from workload.trace.columns import Trace


def whole_notes(trace: Trace, frame: Frame) -> Iterator[str]:
    """Yield what is not known of the whole trace."""
    if frame.span_s < 2 * DAY_S:
        yield f"the trace is {duration(frame.span_s)} long: the time of day is not known (from 48 h on)"
    elif not trace.absolute:
        yield "the trace's times have no date: hours count from its time 0, the day of the week is not known"
    if frame.resolution_us >= 1_000_000:
        yield "stamps are whole seconds: what happens inside one is not known; alpha comes from interval likelihoods"
    most = np.iinfo(np.int32).max
    if capped := int(((trace.request_tokens == most) | (trace.response_tokens == most)).sum()):
        yield f"{capped} requests tell {most:,} tokens or more, which is counted as that"
    unknown = int((trace.request_tokens < 0).sum()), int((trace.response_tokens < 0).sum())
    if any(unknown):
        yield f"{unknown[0]} requests tell no request tokens, {unknown[1]} no response tokens: left out of the lengths"


def class_notes(part: Trace, of: Trace, arrivals: ArrivalsFit, sessions: SessionsFit | None) -> Iterator[str]:
    """Yield what is not known of a class (``part`` of the trace ``of``)."""
    found = arrivals.burstiness
    if found is None:
        yield "too few gaps for alpha: Poisson (1) is assumed"
    else:
        if found.zeros > 0.01 and found.method == MOMENTS:
            yield f"{found.zeros:.1%} of the gaps are of no length (sent together): alpha is 1/CV^2 by moments"
        elif found.misfit is not None and found.method == MOMENTS:
            yield (
                f"no family has these gaps' tail (alpha by moments is {np.exp(found.misfit):.2g} times the likeliest): "
                "alpha is 1/CV^2 by moments"
            )
        if found.law:
            yield "no family has the shape of these gaps: their own quantiles are drawn from, in an order of chance"
        if found.method == POOLED:
            yield "alpha is one for all windows: single ones have too few gaps for their own"
        elif found.merged > 1:
            yield f"alpha is known for {found.merged} windows together only: single ones have too few gaps"
    episodes = arrivals.episodes
    if arrivals.bursts is None and sessions is None and len(episodes) >= EPISODES_MIN:
        searched = "" if episodes.whole else f" in the {episodes.searched_s / 3600:.0f} h searched"
        yield (
            f"{len(episodes)} bursts were found{searched} ({episodes.per_hour * 24:.3g} a day), "
            f"but are not told apart: {'the gaps hold' if found and found.law else 'alpha(t) holds'} them"
        )
    if sessions and len(part) < len(of):
        yield from _shared_sessions(part, of)


def _shared_sessions(part: Trace, of: Trace) -> Iterator[str]:
    """Say how many of the class's sessions also have requests in another class: their turns are told apart."""
    size = len(of.session.names)
    here = np.bincount(part.session.codes[part.session.codes >= 0], minlength=size)
    everywhere = np.bincount(of.session.codes[of.session.codes >= 0], minlength=size)
    mine = here > 0
    if shared := int((everywhere[mine] > here[mine]).sum()):
        yield (
            f"{shared} of {int(mine.sum())} sessions also have requests of another class (a change of model): "
            "their turns are counted in each"
        )
