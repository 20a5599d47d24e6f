"""The windows of a stream, worked out the slow way from its definition: plain Python, exact integers, 50 digits.

Shares nothing with ``streams``: every window is cut out of the whole list of events anew.
"""

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

SECOND = 1_000_000
PANE = 10 * SECOND
DIGITS = 50
ALL = ("all", "all")


@dataclass(frozen=True)
class Ended:
    """A completion: when, and what."""

    at: int
    key: tuple[str, str]
    outcome: str = "ok"
    request_tokens: int = 0
    response_tokens: int = 0


class Stream:
    """One class's arrivals and completions, with prefix sums (exact, or to 50 digits)."""

    def __init__(self, arrivals: list[int], completions: list[Ended]) -> None:
        self.arrivals = sorted(arrivals)
        self.completions = sorted(completions, key=lambda c: c.at)
        self.ended = [c.at for c in self.completions]
        self.per_second = sorted(Counter(t // SECOND for t in arrivals).items())
        self.per_pane = sorted(Counter(t // PANE for t in arrivals).items())
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
        ratio, lower, upper = wilson(failures, last - first)
        cv, shape, rate, method = self.gamma(lo, hi) if n - 1 >= gaps_min else (None,) * 4
        return {
            "arrivals": n,
            "covered_s": seconds,
            "rate": n / seconds,
            "gaps": max(n - 1, 0),
            "cv": cv,
            "gamma_shape": shape,
            "gamma_rate": rate,
            "gamma_method": method,
            "dispersion_1s": dispersion(self.per_second, start // SECOND, end // SECOND, bins_min),
            "dispersion_10s": dispersion(self.per_pane, start // PANE, end // PANE, bins_min),
            "completions": last - first,
            "failures": failures,
            "failure_ratio": ratio,
            "failure_ratio_lower": lower,
            "failure_ratio_upper": upper,
            "request_tokens": self.request_tokens[last] - self.request_tokens[first],
            "response_tokens": self.response_tokens[last] - self.response_tokens[first],
        }

    def gamma(self, lo: int, hi: int) -> tuple:
        """Return cv, shape, rate, method of the gaps between arrivals lo..hi-1."""
        with localcontext() as context:
            context.prec = DIGITS
            n = Decimal(hi - 1 - lo)
            total = Decimal(self.arrivals[hi - 1] - self.arrivals[lo])
            if not total:
                return None, None, None, None
            r2 = n * Decimal(self.squares[hi - 1] - self.squares[lo]) / total**2 - 1
            c2 = n * r2 / (n - 1 - r2) if n - 1 > r2 else None
            cv = None if c2 is None else float(c2.sqrt()) if c2 > 0 else 0.0
            seconds = total / SECOND
            if self.zeros[hi - 1] - self.zeros[lo] or self.whole[hi] - self.whole[lo] == hi - lo:
                method, a = "moment", None if not c2 else 1 / c2
            else:
                method = "ye_chen"
                log, total_log = self.logs[hi - 1] - self.logs[lo], self.total_logs[hi - 1] - self.total_logs[lo]
                spread = n * total_log - log * seconds
                a = n * seconds / spread if spread > Decimal(10) ** -40 else None
            if a is None or a > 10_000:
                return cv, None, None, None
            if method == "ye_chen":
                a -= (3 * a - a / (1 + a) * 2 / 3 - a / (1 + a) ** 2 * 4 / 5) / n
            return cv, float(a), float(a * n / seconds), method


def prefix(values: list, zero) -> list:
    sums = [zero]
    for value in values:
        sums.append(sums[-1] + value)
    return sums


def count(times: list[int], start: int, end: int) -> int:
    return bisect_left(times, end) - bisect_left(times, start)


def dispersion(counts: list[tuple[int, int]], start: int, end: int, bins_min: int) -> float | None:
    """Sample variance over mean of the counts in bins [start, end), as fractions; empty bins are not listed."""
    low, high = bisect_left(counts, (start,)), bisect_left(counts, (end,))
    bins = Counter(c for _, c in counts[low:high])
    m, total = end - start, sum(c * times for c, times in bins.items())
    if m < bins_min or not total:
        return None
    bins[0] = m - (high - low)
    mean = Fraction(total, m)
    return float(sum(times * (c - mean) ** 2 for c, times in bins.items()) / (m - 1) / mean)


def wilson(k: int, n: int) -> tuple:
    """Return ratio and bounds as the roots of (p - k/n)^2 = z^2 p(1-p)/n."""
    if not n:
        return None, None, None
    z2 = 1.959963984540054**2
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
    streams[ALL] = Stream([t for t, _ in arrivals], list(completions))
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
    for place, windows in expected.items():
        for window_s, numbers in windows.items():
            for name, value in numbers.items():
                got = getattr(actual[place][window_s], name)
                same = (
                    got == value
                    if not isinstance(value, float)
                    else got is not None and math.isclose(value, got, rel_tol=rel, abs_tol=1e-12)
                )
                assert same, (place, window_s, name, value, got)
