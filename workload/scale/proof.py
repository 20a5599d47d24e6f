"""What was asked for beside what came of it: rate, burstiness, dispersion, lengths, each with a tolerance. Pure."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workload.analyse.burstiness import GAPS_MIN
from workload.scale.measure import BIN_REQUESTS, Measured, measure, on_clock
from workload.scale.methods import Scaled
from workload.trace.columns import Trace

Ints = NDArray[np.int64]
Int32s = NDArray[np.int32]

TOLERANCE = 0.1
QUANTILES = (0.5, 0.9, 0.99)
_KS_TOLERANCE = 0.05
_KS_99 = 1.63  # two samples: beyond 1.63 sqrt(1/n + 1/m) chance has 1 %
_KS_POINTS = 250_000
_SAME = 0.01  # rates as near as this are the same rate
BURSTINESS = ("cv", *(f"dispersion over {m} requests" for m in BIN_REQUESTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One figure: what it should be, what it is, by how much it may differ (a ratio, or for KS a distance).

    ``ok`` is None where there is nothing to hold it against, or there are too few requests to judge; ``lower`` and
    ``upper`` bound a 95 % interval; ``or_interval``: it is right, too, where the intervals of both meet.
    """

    name: str
    target: float | None
    realised: float | None
    tolerance: float | None = None
    ok: bool | None = None
    lower: float | None = None
    upper: float | None = None
    or_interval: bool = False

    @property
    def change(self) -> float | None:
        """Return by how much it is off, as a ratio of the target."""
        return self.realised / self.target - 1 if self.target and self.realised is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """All checks of one trace; ``what`` says how it was made, ``notes`` what else there is to know."""

    what: str
    rows: int
    duration_s: float
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True unless a check failed."""
        return all(check.ok is not False for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return the proof as a tree for JSON."""
        return {**asdict(self), "ok": self.ok}


def within(name: str, target: float | None, realised: float | None, tolerance: float) -> Check:
    """Return the check that ``realised`` is within ``tolerance`` (a ratio) of ``target``; unknown if either is."""
    ok = None
    if target is not None and realised is not None:
        ok = abs(realised - target) <= tolerance * abs(target) + 1e-12
    return Check(name=name, target=target, realised=realised, tolerance=tolerance, ok=ok)


def prove_scaling(scaled: Scaled, *, rate_per_s: float, tolerance: float = TOLERANCE) -> Proof:
    """Return the proof of a scaled trace against its source, on the source's clock.

    Tolerances of CV and dispersion are widened by two standard errors: so much two traces of one process differ. Where
    either has fewer than 30 gaps nothing is said of them. Counts in seconds are shown where the rate stays what it
    was: at another rate as many seconds hold other requests.
    """
    source, made = scaled.source, scaled.trace
    stretch = len(made) / scaled.duration_s * _mean_gap_s(source) if len(made) else 1.0
    before = measure(source.submitted_us, source.resolution_us)
    after = measure(made.submitted_us, source.resolution_us, stretch=stretch)
    gaps = [_unit_gaps(t, source.resolution_us, s) for t, s in ((source, 1.0), (made, stretch))]
    checks = (
        rate_check(len(made), scaled.duration_s, rate_per_s),
        *burstiness_checks(before, after, tolerance),
        *(seconds_checks(measure(made.submitted_us, made.resolution_us), before) if abs(stretch - 1) < _SAME else ()),
        *length_checks(source, made),
        _judged(distance_check("KS of the gaps over their mean", *gaps), before, after),
    )
    notes = [f"measured on the source's clock, whole steps of {source.resolution_us / 1e6:g} s"]
    return Proof(
        what=describe_method(scaled),
        rows=len(made),
        duration_s=scaled.duration_s,
        checks=checks,
        notes=tuple(notes if source.resolution_us > 1 else []),
    )


def describe_method(scaled: Scaled) -> str:
    """Return in words what was done."""
    details = [
        f"time divided by {scaled.factor:.6g}" if scaled.by == "compress" else "",
        f"{scaled.copies} copies" if scaled.copies > 1 else "",
        f"{scaled.keep:.4g} of the requests kept" if scaled.keep < 1 else "",
        f"{scaled.gaps} gaps in windows of {scaled.window_s:g} s" if scaled.window_s else "",
    ]
    return ", ".join(filter(None, [scaled.by, *details]))


def _mean_gap_s(trace: Trace) -> float:
    return trace.span_s / (len(trace) - 1) if len(trace) > 1 else 1.0


def rate_check(rows: int, duration_s: float, rate_per_s: float) -> Check:
    """Return the check of the mean rate, which is exact but for the rounding to whole requests."""
    return within("rate_per_s", rate_per_s, rows / duration_s, 1 / max(rows, 1))


def burstiness_checks(before: Measured, after: Measured, tolerance: float) -> Iterator[Check]:
    """Yield the checks of CV, alpha (with its interval) and dispersion."""
    yield _judged(within("cv", before.cv, after.cv, tolerance + after.cv_noise()), before, after)
    a, b = before.stats, after.stats
    near = within("alpha", a.alpha, b.alpha, tolerance)
    meet = None not in (a.alpha_lower, a.alpha_upper, b.alpha_lower, b.alpha_upper) and (
        b.alpha_lower <= a.alpha_upper and a.alpha_lower <= b.alpha_upper  # type: ignore[operator]
    )
    alpha = Check(
        name="alpha",
        target=a.alpha,
        realised=b.alpha,
        tolerance=tolerance,
        ok=near.ok if near.ok is None else near.ok or meet,
        lower=b.alpha_lower,
        upper=b.alpha_upper,
        or_interval=True,
    )
    yield _judged(alpha, before, after)
    for m in BIN_REQUESTS:
        bins = max(min(before.rows, after.rows) / m - 1, 1)
        noise = 2 * float(np.sqrt(2 / bins))
        yield within(f"dispersion over {m} requests", before.dispersion[m], after.dispersion[m], tolerance + noise)


def _judged(check: Check, before: Measured, after: Measured) -> Check:
    """Return the check without a verdict if either trace has too few gaps for one: chance would allow anything."""
    return replace(check, ok=None) if min(before.stats.gaps, after.stats.gaps) < GAPS_MIN else check


def seconds_checks(made: Measured, before: Measured | None = None) -> Iterator[Check]:
    """Yield the index of dispersion at 1, 10 and 60 s beside the source's: it grows with the rate, so no verdict."""
    for scale, index in made.stats.idc.items():
        target = before.stats.idc.get(scale) if before else None
        yield Check(name=f"dispersion at {scale} s", target=target, realised=index)


def length_checks(source: Trace, made: Trace) -> Iterator[Check]:
    """Yield quantiles and KS distance of request and response tokens (of requests that were served)."""
    for name in ("request_tokens", "response_tokens"):
        before, after = (Sample.of(trace, name) for trace in (source, made))
        if not (len(before.values) and len(after.values)):
            continue
        for q in QUANTILES:
            yield _quantile_check(f"{name} p{100 * q:g}", before, after, q)
        sizes = before.units, after.units
        yield distance_check(f"KS of {name}", before.values, after.values, independent=sizes)


@dataclass(frozen=True, slots=True)
class Sample:
    """Lengths and whose they are: turns of one session are alike, so they count as one where chance is judged."""

    values: Ints
    session: Int32s

    @classmethod
    def of(cls, trace: Trace, name: str) -> "Sample":
        """Return the known lengths of the requests that were served; session -1 for none."""
        column: Ints = getattr(trace, name)
        kept = ~trace.failed & (column >= 0)
        return cls(column[kept], trace.session.codes[kept])

    @property
    def units(self) -> int:
        """How many sessions, and requests without one, there are."""
        alone, turns = _turns(self.session)
        return alone + int(np.count_nonzero(turns))

    def independent(self, q: float) -> float:
        """Return how many independent values the quantile ``q`` rests on: Kish's number of the sessions above it."""
        alone, turns = _turns(self.session[self.values >= np.quantile(self.values, q)])
        kish = (alone + float(turns.sum())) ** 2 / (alone + float(turns @ turns))
        return max(min(kish / (1 - q), len(self.values)), 1.0)


def _turns(session: Int32s) -> tuple[int, Ints]:
    """Return how many have no session, and each session's number."""
    within = session[session >= 0]
    return len(session) - len(within), np.bincount(within)


def _quantile_check(name: str, before: Sample, after: Sample, q: float) -> Check:
    """Return the check of a quantile: near, or within three standard errors (of the order statistic, binomial)."""
    target, realised = float(np.quantile(before.values, q)), float(np.quantile(after.values, q))
    error = float(np.sqrt(q * (1 - q) * (1 / after.independent(q) + 1 / before.independent(q))))
    two, three = (
        [float(v) for v in np.quantile(after.values, [max(q - k * error, 0), min(q + k * error, 1)])] for k in (2, 3)
    )
    if q + 3 * error >= 1:  # so few that none need lie above the quantile
        three[1] = np.inf
    if q - 3 * error <= 0:
        three[0] = -np.inf
    near = abs(realised - target) <= TOLERANCE * target
    return Check(
        name=name,
        target=target,
        realised=realised,
        tolerance=TOLERANCE,
        ok=bool(near or three[0] <= target <= three[1]),
        lower=two[0],
        upper=two[1],
        or_interval=True,
    )


def distance_check(
    name: str, before: NDArray[Any], after: NDArray[Any], *, independent: tuple[int, int] | None = None
) -> Check:
    """Return the check that two samples' distribution functions are nowhere farther apart than 0.05, or chance.

    ``independent``: how many independent values there are in either sample; None: all.
    """
    if not (len(before) and len(after)):
        return Check(name=name, target=0.0, realised=None)
    n, m = independent or (len(before), len(after))
    tolerance = max(_KS_TOLERANCE, _KS_99 * float(np.sqrt(1 / n + 1 / m)))
    distance = ks_distance(before, after)
    return Check(name=name, target=0.0, realised=distance, tolerance=tolerance, ok=distance <= tolerance)


def ks_distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples.

    >>> ks_distance(np.array([1, 2, 3, 4]), np.array([3, 4, 5, 6]))
    0.5
    """
    a, b = (_thinned(np.sort(one)) for one in (a, b))
    both = np.concatenate((a, b))
    below = [np.searchsorted(one, both, side="right") / len(one) for one in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def _thinned(ordered: NDArray[Any]) -> NDArray[Any]:
    """Return every k-th of ordered values, a quarter of a million at most: that moves a distance by 4e-6 at most."""
    step = -(-len(ordered) // _KS_POINTS)
    return ordered[step // 2 :: step] if step > 1 else ordered


def _unit_gaps(trace: Trace, resolution_us: int, stretch: float) -> NDArray[np.float64]:
    gaps = np.diff(on_clock(trace.submitted_us, resolution_us, stretch=stretch)).astype(np.float64)
    if resolution_us > 1:
        return gaps  # whole seconds on both sides: a mean that differs in the last digit would shift every step
    mean = float(gaps.mean()) if len(gaps) else 0.0
    return gaps / mean if mean else gaps
