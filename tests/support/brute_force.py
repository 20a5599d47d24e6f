"""The windows of a stream, worked out the slow way from its definition: plain Python, exact integers, 50 digits.

Shares nothing with ``streams``: every window is cut out of the whole list of events anew. The distributions that
intervals need are SciPy's.
"""

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from scipy.optimize import brentq
from scipy.special import bdtrc, betaincinv, gammaincinv, ndtri, polygamma

SECOND = 1_000_000
TENTH = SECOND // 10
PANE = 10 * SECOND
DIGITS = 50
Z_95 = 1.959963984540054
ELSEWHERE = {"percentiles"}  # numbers with a brute force of their own (test_percentiles_laws.py)
# of windows whose stamps are cut to whole seconds (test_whole_seconds.py)
OF_WHOLE_SECONDS = ("cv", "gamma_shape", "gamma_shape_lower", "gamma_shape_upper", "gamma_rate", "gamma_method",
                    "burstiness", "memory", "misfit")  # fmt: skip
QUANTILES = {"dispersion_1s_lower", "dispersion_1s_upper", "failure_ratio_jeffreys_lower",
             "failure_ratio_jeffreys_upper", "peak_z"}  # fmt: skip
ALL = ("all", "all")


@dataclass(frozen=True)
class Ended:
    """A completion: when, and what."""

    at: int
    key: tuple[str, str]
    outcome: str = "ok"
    request_tokens: int = 0
    response_tokens: int = 0
    took: int | None = None
    reason: str | None = None


class _Elsewhere:
    """Equal to anything: a number with a test of its own."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return True


class Bins:
    """Arrivals counted in bins of ``width``; bins without any are left out."""

    def __init__(self, arrivals: list[int], width: int) -> None:
        self.width = width
        counts = sorted(Counter(t // width for t in arrivals).items())
        self.numbers = [number for number, _ in counts]
        self.counts = [count for _, count in counts]
        # squared steps between each two bins that follow each other here, the empty ones between included
        steps = [
            (b - a) ** 2 if after == number + 1 else a * a + b * b
            for (number, a), (after, b) in zip(counts, counts[1:], strict=False)
        ]
        self.steps = prefix(steps, 0)

    def window(self, start: int, end: int, bins_min: int) -> tuple:
        """Return index of dispersion, Allan factor, peak over mean, and (bins, total, peak), of [start, end)."""
        first, stop = start // self.width, end // self.width
        low, high = bisect_left(self.numbers, first), bisect_left(self.numbers, stop)
        inside, m = self.counts[low:high], stop - first
        if m < bins_min or not inside:
            return None, None, None, None
        mean = Fraction(sum(inside), m)
        by_count = Counter(inside)
        by_count[0] += m - len(inside)
        variance = sum(times * (c - mean) ** 2 for c, times in by_count.items()) / (m - 1)
        steps = self.steps[high - 1] - self.steps[low]
        steps += inside[0] ** 2 if self.numbers[low] > first else 0
        steps += inside[-1] ** 2 if self.numbers[high - 1] < stop - 1 else 0
        allan = Fraction(steps, m - 1) / (2 * mean)
        return float(variance / mean), float(allan), float(max(inside) / mean), (m, sum(inside), max(inside))


class Stream:
    """One class's arrivals and completions, with prefix sums (exact, or to 50 digits)."""

    def __init__(self, arrivals: list[int], completions: list[Ended], *, total: bool = False) -> None:
        self.total = total
        self.arrivals = sorted(arrivals)
        self.completions = sorted(completions, key=lambda c: c.at)
        self.ended = [c.at for c in self.completions]
        self.bins = {width: Bins(arrivals, width) for width in (TENTH, SECOND, PANE)}
        self.failed = [c for c in self.completions if c.outcome == "failed"]
        self.failed_at = [c.at for c in self.failed]
        self.timed = prefix([c.took is not None for c in self.completions], 0)
        self.took = prefix([c.took or 0 for c in self.completions], 0)
        self.failures = prefix([c.outcome == "failed" for c in self.completions], 0)
        self.request_tokens = prefix([c.request_tokens for c in self.completions], 0)
        self.response_tokens = prefix([c.response_tokens for c in self.completions], 0)
        gaps = [b - a for a, b in zip(self.arrivals, self.arrivals[1:], strict=False)]
        with localcontext() as context:
            context.prec = DIGITS
            million = Decimal(SECOND)
            known = {g: (Decimal(g) / million).ln() for g in set(gaps) if g}
            logs = [known.get(g, Decimal(0)) for g in gaps]
            self.squares = prefix([g * g for g in gaps], 0)
            self.products = prefix([a * b for a, b in zip(gaps, gaps[1:], strict=False)], 0)
            self.zeros = prefix([g == 0 for g in gaps], 0)
            self.whole = prefix([t % SECOND == 0 for t in self.arrivals], 0)
            self.logs = prefix(logs, Decimal(0))
            self.total_logs = prefix(
                [Decimal(g) / million * log for g, log in zip(gaps, logs, strict=True)], Decimal(0)
            )

    def active(self, start: int, end: int) -> bool:
        return bool(count(self.arrivals, start, end) or count(self.ended, start, end))

    def window(self, start: int, end: int, *, known: int = 0, gaps_min: int = 30, bins_min: int = 30) -> dict:
        """Return the numbers of [start, end) of a service that is known from ``known`` on."""
        start = max(start, known)
        lo, hi = bisect_left(self.arrivals, start), bisect_left(self.arrivals, end)
        seconds = (end - start) // SECOND
        n = hi - lo
        first, last = bisect_left(self.ended, start), bisect_left(self.ended, end)
        failures = self.failures[last] - self.failures[first]
        timed, took = self.timed[last] - self.timed[first], self.took[last] - self.took[first]
        gone = self.failed[bisect_left(self.failed_at, start) : bisect_left(self.failed_at, end)]
        ratio, lower, upper = wilson(failures, last - first)
        enough = n - 1 >= gaps_min
        cv, shape, rate, method, by_moments = self.gamma(lo, hi) if enough else (None,) * 5
        numbers = {
            **self.counted(start, end, bins_min),
            **interval_of_shape(shape, method, n - 1),
            "memory": self.memory(lo, hi) if enough else None,
            "burstiness": None if cv is None else (cv - 1) / (cv + 1),
            "misfit": math.log(by_moments / shape) if method == "ye_chen" and by_moments else None,
            **jeffreys(failures, last - first),
            "failures_by_reason": dict(Counter(c.reason or "unknown" for c in gone)),
            "concurrency": float(Fraction(took * (last - first), timed * seconds * SECOND)) if timed else None,
            "arrivals": n,
            "covered_s": seconds,
            "rate": n / seconds,
            "gaps": max(n - 1, 0),
            "cv": cv,
            "gamma_shape": shape,
            "gamma_rate": rate,
            "gamma_method": method,
            "completions": last - first,
            "failures": failures,
            "failure_ratio": ratio,
            "failure_ratio_lower": lower,
            "failure_ratio_upper": upper,
            "request_tokens": self.request_tokens[last] - self.request_tokens[first],
            "response_tokens": self.response_tokens[last] - self.response_tokens[first],
        }
        whole = (self.whole[hi] - self.whole[lo]) * 100 > n * 99
        return numbers | dict.fromkeys(OF_WHOLE_SECONDS, _Elsewhere()) if enough and whole else numbers

    def memory(self, lo: int, hi: int) -> float | None:
        """Correlation of neighbouring gaps between arrivals lo..hi-1."""
        gaps, first, last = hi - 1 - lo, self.arrivals[lo : lo + 2], self.arrivals[hi - 2 : hi]
        if gaps < 3:
            return None
        ends = first[1] - first[0], last[1] - last[0]
        pairs, total = gaps - 1, self.arrivals[hi - 1] - self.arrivals[lo]
        squares, products = self.squares[hi - 1] - self.squares[lo], self.products[hi - 2] - self.products[lo]
        mean = [Fraction(total - end, pairs) for end in reversed(ends)]
        variance = [Fraction(squares - end * end, pairs) - m * m for end, m in zip(reversed(ends), mean, strict=True)]
        if not all(variance):
            return None
        covariance = Fraction(products, pairs) - mean[0] * mean[1]
        with localcontext() as context:
            context.prec = DIGITS
            square = variance[0] * variance[1]
            spread = (Decimal(square.numerator) / square.denominator).sqrt()
            return float(Decimal(covariance.numerator) / covariance.denominator / spread)

    def counted(self, start: int, end: int, bins_min: int) -> dict:
        """Return the numbers of the bins in [start, end)."""
        fine, allan_fine, _, _ = self.bins[TENTH].window(start, end, bins_min) if self.total else (None,) * 4
        second, allan_second, peak, facts = self.bins[SECOND].window(start, end, bins_min)
        pane, allan_pane, _, _ = self.bins[PANE].window(start, end, bins_min)
        bounds, z = (None, None), None
        if self.total and facts is not None:
            z = surprise(*facts)
            if (1 - allan_second / second if second else 0) * math.sqrt(facts[0]) <= ndtri(0.99):
                bounds = interval_of_index(second, *facts[:2])
        return {
            "dispersion_100ms": fine,
            "dispersion_1s": second,
            "dispersion_1s_lower": bounds[0],
            "dispersion_1s_upper": bounds[1],
            "dispersion_10s": pane,
            "allan_100ms": allan_fine,
            "allan_1s": allan_second,
            "allan_10s": allan_pane,
            "peak_to_mean": peak,
            "peak_z": z,
        }

    def gamma(self, lo: int, hi: int) -> tuple:
        """Return cv, shape, rate, method and the shape by moments of the gaps between arrivals lo..hi-1."""
        with localcontext() as context:
            context.prec = DIGITS
            n = Decimal(hi - 1 - lo)
            total = Decimal(self.arrivals[hi - 1] - self.arrivals[lo])
            if not total:
                return None, None, None, None, None
            r2 = n * Decimal(self.squares[hi - 1] - self.squares[lo]) / total**2 - 1
            c2 = n * r2 / (n - 1 - r2) if n - 1 > r2 else None
            cv = None if c2 is None else float(c2.sqrt()) if c2 > 0 else 0.0
            seconds = total / SECOND
            by_moments = None if not c2 or c2 * 10_000 <= 1 else float(1 / c2)
            zeros = self.zeros[hi - 1] - self.zeros[lo]
            if zeros * 100 > n:
                method, a = "moment", None if not c2 else 1 / c2
            else:
                method = "ye_chen"
                log, total_log = self.logs[hi - 1] - self.logs[lo], self.total_logs[hi - 1] - self.total_logs[lo]
                spread = n * total_log - log * seconds
                a = n * seconds / spread if spread > Decimal(10) ** -40 else None
                if zeros:
                    a = shape_with_zeros(int(n), zeros, float(spread / seconds))
            if a is None or a > 10_000:
                return cv, None, None, None, by_moments
            if method == "ye_chen":
                a -= (3 * a - a / (1 + a) * 2 / 3 - a / (1 + a) ** 2 * 4 / 5) / n
            return cv, float(a), float(a * n / seconds), method, by_moments


def prefix(values: list, zero) -> list:
    sums = [zero]
    for value in values:
        sums.append(sums[-1] + value)
    return sums


def count(times: list[int], start: int, end: int) -> int:
    return bisect_left(times, end) - bisect_left(times, start)


def interval_of_index(index: float, m: int, total: int) -> tuple:
    """Chi-square bounds of an index of dispersion, its degrees of freedom cut for skewness."""
    if not index:
        return None, None
    skew = max((3 * index - 1) * (index - 1) / (index * total / m), 0)
    freedom = 2 * (m - 1) / (2 + skew)
    if freedom < 1:
        return None, None
    chi2 = [2 * gammaincinv(freedom / 2, p) for p in (0.975, 0.025)]
    return freedom * index / chi2[0], freedom * index / chi2[1]


def surprise(m: int, total: int, peak: int) -> float:
    """Normal deviate of the greatest of m counts, were the total spread at random."""
    tail = bdtrc(peak - 1, total, 1 / m)
    chance = 1.0 if tail >= 1 else -math.expm1(m * math.log1p(-tail))
    return float(-ndtri(min(max(chance, 1e-300), 1 - 2**-53)))


def shape_with_zeros(n: int, zeros: int, spread: float) -> Decimal:
    """Where Ye and Chen's equation holds if a zero gap's ln x is ln D - 1/a - 1/(a + 1), D = 1 us."""

    def missing(a: float) -> float:
        return n / a - spread - zeros * (1 / a + 1 / (a + 1) - math.log(1e-6))

    return Decimal(brentq(missing, 1e-6, 1e6, xtol=1e-15, rtol=1e-14))


def interval_of_shape(shape: float | None, method: str | None, n: int) -> dict:
    """95 % bounds of the shape on the scale of its logarithm."""
    names = ("gamma_shape_lower", "gamma_shape_upper")
    if shape is None:
        return dict.fromkeys(names)
    variance = 1 + shape * polygamma(1, 1 + shape) if method == "ye_chen" else 2 * (1 + 1 / shape)
    half = Z_95 * math.sqrt(variance / n)
    if half > 20:  # a factor of 5e8
        return dict.fromkeys(names)
    return dict(zip(names, (float(shape * math.exp(-half)), float(shape * math.exp(half))), strict=True))


def jeffreys(k: int, n: int) -> dict:
    """Quantiles of Beta(k + 1/2, n - k + 1/2), below 100 completions."""
    names = ("failure_ratio_jeffreys_lower", "failure_ratio_jeffreys_upper")
    if not 0 < n < 100:
        return dict.fromkeys(names)
    lower = float(betaincinv(k + 0.5, n - k + 0.5, 0.025)) if k else 0.0
    upper = float(betaincinv(k + 0.5, n - k + 0.5, 0.975)) if k < n else 1.0
    return dict(zip(names, (lower, upper), strict=True))


def wilson(k: int, n: int) -> tuple:
    """Return ratio and bounds as the roots of (p - k/n)^2 = z^2 p(1-p)/n."""
    if not n:
        return None, None, None
    z2 = Z_95**2
    a, b, c = 1 + z2 / n, -(2 * k / n + z2 / n), (k / n) ** 2
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    upper = (-b + root) / (2 * a)
    lower = c / (a * upper)  # Vieta: no cancellation
    return k / n, lower, upper


def rows(arrivals, completions, watermark: int, *, windows=(10, 60, 300, 1200, 3600), hold_s=2, **gates) -> dict:
    """Return {(end, key): {window_s: numbers}} for every row that must have been emitted by ``watermark``.

    ``arrivals``: (time, key) pairs; ``completions``: ``Ended``. Keys are (model, log type).
    """
    keys = {key for _, key in arrivals} | {c.key for c in completions}
    streams = {
        key: Stream([t for t, k in arrivals if k == key], [c for c in completions if c.key == key]) for key in keys
    }
    streams[ALL] = Stream([t for t, _ in arrivals], list(completions), total=True)
    times = streams[ALL].arrivals + streams[ALL].ended
    found = {}
    longest = windows[-1] * SECOND
    known = min(times) // PANE * PANE if times else 0
    end = known + PANE if times else watermark
    while end + hold_s * SECOND <= watermark and end <= max(times) + longest + PANE:
        for key, stream in streams.items():
            if stream.active(end - longest, end):
                found[end, key] = {w: stream.window(end - w * SECOND, end, known=known, **gates) for w in windows}
        end += PANE
    return found


def assert_same(expected: dict, actual: dict, *, rel: float = 1e-9) -> None:
    """Fail unless both hold the same rows and every number agrees to ``rel``."""
    assert sorted(expected) == sorted(actual)
    compared = {name for windows in expected.values() for numbers in windows.values() for name in numbers}
    shown = {name for windows in actual.values() for stats in windows.values() for name in stats.__slots__}
    assert compared == shown - ELSEWHERE
    for place, windows in expected.items():
        for window_s, numbers in windows.items():
            for name, value in numbers.items():
                got = getattr(actual[place][window_s], name)
                tolerance = 1e-6 if name in QUANTILES else rel
                same = (
                    got == value
                    if not isinstance(value, float)
                    else got is not None and math.isclose(value, got, rel_tol=tolerance, abs_tol=tolerance / 1000)
                )
                assert same, (place, window_s, name, value, got)
