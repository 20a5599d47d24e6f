"""A trace at another rate by compressing time, laying copies over it, or leaving requests out. Pure.

| method    | keeps                                | changes                                                          |
| compress  | CV, alpha, dispersion per request    | all times: think times and the day's profile shrink with the gaps |
| superpose | times within a copy, dispersion per second | CV tends to 1: many users are smoother than one            |
| thin      | times of what stays                  | CV and dispersion tend to 1                                      |

``remodel`` is the way that keeps burstiness without touching think times. Sessions are moved, renamed or left out
whole.
"""

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from workload.scale.units import renamed, some_of
from workload.trace.columns import Labels, Trace, concatenate

COMPRESS, SUPERPOSE, THIN, MODEL = "compress", "superpose", "thin", "model"
METHODS = (COMPRESS, SUPERPOSE, THIN, MODEL)
COPIES_MAX = 10_000
ROWS_MAX = 200_000_000  # 10 GB of columns; a typing error in a rate should not take the machine down


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """What came of it: the trace from time 0, its length, and by how much was compressed, copied or thinned.

    ``source`` is the part of the source that was used. Of a modelled trace, ``window_s`` are the windows of alpha(t)
    and ``gaps`` whether they are "gamma" or "own".
    """

    trace: Trace
    source: Trace
    duration_s: float
    by: str
    factor: float = 1.0
    copies: int = 1
    keep: float = 1.0
    window_s: float | None = None
    gaps: str | None = None


def period_s(trace: Trace) -> float:
    """Return the length a trace stands for: from its first request to its last and one mean gap more."""
    n = len(trace)
    return trace.span_s * n / (n - 1) if n > 1 else 0.0


def compress(trace: Trace, *, rate_per_s: float, duration_s: float | None = None) -> Scaled:
    """Return the trace with every time divided by one factor, so that its mean rate is ``rate_per_s``.

    With ``duration_s`` the first rate times duration rows are taken and made to fill it. Raises ``ValueError`` if
    there are fewer, or fewer than two.
    """
    n = len(trace) if duration_s is None else round(rate_per_s * duration_s)
    _enough(trace, n)
    part = trace.take(slice(0, n))
    since = part.submitted_us - part.submitted_us[0]
    length_s = n / rate_per_s
    # The gap after the last row is one of the source's where there is one more row, else a mean gap.
    whole_us = int(trace.submitted_us[n] - trace.submitted_us[0]) if n < len(trace) else period_s(part) * 1e6
    factor = whole_us / (length_s * 1e6)
    times = np.floor(since / factor).astype(np.int64) if factor > 0 else np.zeros(n, np.int64)
    made = replace(part, submitted_us=times, resolution_us=1 if factor != 1 else part.resolution_us, absolute=False)
    return Scaled(trace=made, source=part, duration_s=length_s, by=COMPRESS, factor=factor)


def superpose(trace: Trace, rng: np.random.Generator, *, rate_per_s: float, duration_s: float | None = None) -> Scaled:
    """Return copies of the trace laid over it, each turned round by a chance shift, then thinned to the exact rate.

    Copies of sessions have names of their own; a session that a shift cuts in two goes on under another name. Shifts
    are whole steps of the trace's clock. Raises ``ValueError`` for fewer than two rows or too many copies.
    """
    part, length_s = beginning(trace, duration_s)
    wanted = not_too_many(rate_per_s * length_s)
    copies = max(ceil(wanted / len(part)), 1)
    if copies > COPIES_MAX:
        raise ValueError(f"{copies} copies are needed for that rate; at most {COPIES_MAX} are made")
    step = part.resolution_us
    steps = max(round(length_s * 1e6 / step), 1)
    parts, sessions = [part], [part.session.codes.astype(np.int64)]
    for copy in range(1, copies):
        moved = part.submitted_us + int(rng.integers(steps)) * step
        laps = moved // (steps * step)
        parts.append(replace(part, submitted_us=moved - laps * steps * step))
        sessions.append((part.session.codes + len(part.session.names) * laps) + copy * 2 * len(part.session.names))
    made = concatenate([replace(one, session=_any_session(one)) for one in parts])
    made = renamed(rng, made, np.concatenate(sessions)).sorted_by_time()
    made = some_of(rng, made, wanted)
    keep = wanted / (copies * len(part))
    return Scaled(trace=made, source=part, duration_s=length_s, by=SUPERPOSE, copies=copies, keep=keep)


def _any_session(trace: Trace) -> Labels:
    """Return a column that tells who has a session, without the names: they are about to be replaced."""
    return Labels(np.minimum(trace.session.codes, 0), ("s",))


def thin(trace: Trace, rng: np.random.Generator, *, rate_per_s: float, duration_s: float | None = None) -> Scaled:
    """Return as many of the rows as make the rate, whole sessions picked by chance.

    Raises ``ValueError`` for fewer than two rows or a rate above the trace's own.
    """
    part, length_s = beginning(trace, duration_s)
    wanted = round(rate_per_s * length_s)
    if wanted > len(part):
        raise ValueError(f"the trace has {len(part) / length_s:.4g} requests a second; thinning cannot make it more")
    made = some_of(rng, part, wanted)
    return Scaled(trace=made, source=part, duration_s=length_s, by=THIN, keep=wanted / len(part))


def beginning(trace: Trace, duration_s: float | None) -> tuple[Trace, float]:
    """Return the first ``duration_s`` seconds (None: all), times from 0, and their length.

    Raises ``ValueError`` if the trace is shorter than that or has fewer than two rows there.
    """
    _enough(trace, 2)
    since = trace.submitted_us - trace.submitted_us[0]
    length_s = period_s(trace)
    if duration_s is not None:
        if duration_s > length_s * (1 + 1e-9):
            raise ValueError(f"the trace lasts {length_s:.6g} s, less than the {duration_s:g} s asked for")
        length_s = duration_s
    n = int(np.searchsorted(since, length_s * 1e6))
    part = replace(trace, submitted_us=since, absolute=False).take(slice(0, n))
    _enough(part, 2)
    return part, length_s


def not_too_many(requests: float) -> int:
    """Return the rounded number of requests. Raises ``ValueError`` for more than a machine should be asked to hold."""
    if requests > ROWS_MAX:
        raise ValueError(f"that would be {requests:.3g} requests; at most {ROWS_MAX:,} are made at once")
    return round(requests)


def _enough(trace: Trace, n: int) -> None:
    if max(n, 2) > len(trace) or n < 2:
        raise ValueError(f"the trace has {len(trace)} requests there; {max(n, 2)} are needed")
