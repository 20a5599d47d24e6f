"""Requests over time: series, time of day and week, periodicity. Pure; of sorted times."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from workload.analyse.arrivals import Arrivals
from workload.analyse.facts import RateFacts
from workload.analyse.plain import Columns
from workload.trace.columns import Int64s

Floats = NDArray[np.float64]

HOUR_S, DAY_S, WEEK_H = 3600, 86_400, 168
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
_HOUR_SEEN_S = 3240  # nine tenths: a trace of a day lasts from its first request to its last, a little less
_SERIES_MAX = 2000
_LAG_MAX_H = 8 * 24
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class Calendar:
    """What the times of a trace are times of.

    Attributes:
        shift_s: seconds to add before days and hours are told (a time zone).
        day_zero_weekday: weekday (0: Monday) of the day second 0 falls on; None: not known.
        words: the same for people.
    """

    shift_s: int
    day_zero_weekday: int | None
    words: str

    @classmethod
    def of(cls, *, absolute: bool, day_zero_weekday: int | None, zone_s: int) -> "Calendar":
        """Return the calendar of a trace; ``day_zero_weekday`` matters where times are not ``absolute``."""
        if absolute:
            zone = "UTC" if not zone_s else f"UTC{zone_s / HOUR_S:+g} h"
            return cls(zone_s, _EPOCH_WEEKDAY, f"calendar times, {zone}")
        start = "second 0 is a midnight, local time, as BurstGPT says of its own"
        if day_zero_weekday is None:
            return cls(zone_s, None, f"{start}; the weekday is not known")
        names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        return cls(zone_s, day_zero_weekday, f"{start}; assumed to be a {names[day_zero_weekday]}")


def nice_step_s(span_s: float, *, least_s: int = 1, bins: int = _SERIES_MAX) -> int:
    """Return a round step that cuts ``span_s`` into at most ``bins`` bins.

    >>> nice_step_s(3600), nice_step_s(9_500_000), nice_step_s(0.0, least_s=60)
    (2, 7200, 60)
    """
    wanted = max(span_s / (bins - 1), least_s)
    return next((step for step in _STEPS_S if step >= wanted), DAY_S * ceil(wanted / DAY_S))


def counts(arrivals: Arrivals, step_s: int, shift_s: int = 0) -> tuple[int, Int64s]:
    """Return the number of the first bin (of ``step_s`` from second 0) and the requests in it and those after."""
    first, last = (int(time + shift_s) // step_s for time in (arrivals.first_s // 1, arrivals.last_s // 1))
    return first, arrivals.between(np.arange(first, last + 2) * step_s - shift_s)


def rates(arrivals: Arrivals, calendar: Calendar) -> RateFacts:
    """Return the facts of ``facts.RateFacts``."""
    span_s = arrivals.span_s
    step_s = nice_step_s(span_s)
    if not span_s:
        return _unknown(arrivals.n, step_s)
    first, series = counts(arrivals, step_s)
    hour, hourly = counts(arrivals, HOUR_S, calendar.shift_s)
    covered = _covered(arrivals, hour, len(hourly), calendar.shift_s)
    by_hour = _means((hour + np.arange(len(hourly))) % 24, hourly, covered, 24)
    lags, correlations = autocorrelation(hourly[covered >= HOUR_S])
    known = _whole_day(by_hour, hour, covered)
    peak, trough = (choose(known, key=known.__getitem__, default=None) for choose in (max, min))
    mean = sum(known.values()) / len(known) if known else 0.0
    weekday, week = _week(hour, hourly, covered, calendar)
    return RateFacts(
        n=arrivals.n,
        mean_per_s=(arrivals.n - 1) / span_s,
        peak_minute_per_s=int(counts(arrivals, 60)[1].max()) / 60 if span_s >= 60 else None,
        peak_hour_per_s=int(hourly.max()) / HOUR_S if span_s >= HOUR_S else None,
        series_step_s=step_s,
        series={"start_s": (first + np.arange(len(series))) * step_s, "per_s": series / step_s},
        hour_of_day=by_hour,
        hour_of_day_median=_medians(hour, hourly, covered),
        weekday=weekday,
        hour_of_week=week,
        peak_hour=peak,
        trough_hour=trough,
        peak_over_trough=_over(known, peak, trough),
        peak_over_mean=known[peak] / mean if peak is not None and mean else None,
        day_autocorrelation=_at(24, lags, correlations, int(np.sum(covered >= HOUR_S))),
        week_autocorrelation=_at(WEEK_H, lags, correlations, int(np.sum(covered >= HOUR_S))),
        autocorrelation={"lag_h": lags, "value": correlations},
    )


def _whole_day(by_hour: list[float | None], hour: int, covered: Floats) -> dict[int, float]:
    """Return the rate by hour of the day; nothing unless each was seen in full: scraps of hours tell of no rhythm."""
    seen = np.bincount((hour + np.arange(len(covered))) % 24, covered, 24)
    if (seen < _HOUR_SEEN_S).any():
        return {}
    return {h: rate for h, rate in enumerate(by_hour) if rate is not None}


def _over(rates_of: dict[int, float], peak: int | None, trough: int | None) -> float | None:
    return None if peak is None or trough is None or not rates_of[trough] else rates_of[peak] / rates_of[trough]


def _unknown(n: int, step_s: int) -> RateFacts:
    none: list[float | None] = [None] * 24
    empty: Columns = {"start_s": [], "per_s": []}
    return RateFacts(
        n=n,
        mean_per_s=None,
        peak_minute_per_s=None,
        peak_hour_per_s=None,
        series_step_s=step_s,
        series=empty,
        hour_of_day=none,
        hour_of_day_median=none,
        weekday=[None] * 7,
        hour_of_week=[None] * WEEK_H,
        peak_hour=None,
        trough_hour=None,
        peak_over_trough=None,
        peak_over_mean=None,
        day_autocorrelation=None,
        week_autocorrelation=None,
        autocorrelation={"lag_h": [], "value": []},
    )


def _covered(arrivals: Arrivals, hour: int, hours: int, shift_s: int) -> Floats:
    """Return the seconds of each hour that lie within the trace."""
    starts = (hour + np.arange(hours)) * HOUR_S - shift_s
    first, last = arrivals.first_s, arrivals.last_s
    covered: Floats = np.clip(np.minimum(starts + HOUR_S, last) - np.maximum(starts, first), 0, HOUR_S)
    return covered


def _means(place: Int64s, hourly: Int64s, covered: Floats, places: int) -> list[float | None]:
    n, seconds = np.bincount(place, hourly, places), np.bincount(place, covered, places)
    return [float(a / b) if b >= 1 else None for a, b in zip(n, seconds, strict=True)]


def _medians(hour: int, hourly: Int64s, covered: Floats) -> list[float | None]:
    place = (hour + np.arange(len(hourly))) % 24
    whole = covered >= HOUR_S
    rows = [hourly[whole & (place == h)] for h in range(24)]
    return [float(np.median(row)) / HOUR_S if len(row) else None for row in rows]


def _week(
    hour: int, hourly: Int64s, covered: Floats, calendar: Calendar
) -> tuple[list[float | None], list[float | None]]:
    if calendar.day_zero_weekday is None:
        return [None] * 7, [None] * WEEK_H
    place = (hour + calendar.day_zero_weekday * 24 + np.arange(len(hourly))) % WEEK_H
    return _means(place // 24, hourly, covered, 7), _means(place, hourly, covered, WEEK_H)


def autocorrelation(series: NDArray[np.int64]) -> tuple[Int64s, Floats]:
    """Return lags 1, 2, ... (at most half the series, and 8 days of hours) and the correlation at each.

    sum (x_t - m)(x_{t+l} - m)/sum (x_t - m)^2 (Box and Jenkins): biased towards 0 at lags near the length. Nothing for
    a constant series.
    """
    n = len(series)
    off = series - series.mean() if n else np.zeros(0)
    total = float(off @ off)
    lags = np.arange(1, min(_LAG_MAX_H, n // 2) + 1) if total else np.zeros(0, np.int64)
    return lags, np.array([float(off[:-lag] @ off[lag:]) / total for lag in lags])


def _at(lag: int, lags: Int64s, values: Floats, hours: int) -> float | None:
    return float(values[lag - 1]) if hours >= 2 * lag and len(lags) >= lag else None
