"""When the requests of a class come: rate and burstiness by window, time of day, episodes. Pure."""

from dataclasses import dataclass

import numpy as np

from workload.fit.burstiness import MOMENTS, Burstiness
from workload.fit.bursts import Episodes, bursts_of, find_episodes, matter
from workload.fit.candidates import Floats
from workload.fit.fine_burstiness import fine_burstiness
from workload.fit.lengths import tried
from workload.fit.operational_time import Windows, against, cut, expected_until, within
from workload.fit.whole_burstiness import BIN_S, whole_burstiness
from workload.model.model import RENEWAL, SESSIONS, Arrivals, Bursts, Timeline
from workload.trace.columns import Int64s

AUTO, FULL, WEEK, NONE = "auto", "full", "week", "none"
TIMELINES = (AUTO, FULL, WEEK, NONE)
DAY_S, WEEK_S = 86_400, 604_800
FULL_S_MAX = 14 * DAY_S  # longer traces are told as their typical week
_DAY_SPAN_MIN_S, _WEEK_SPAN_MIN_S = 2 * DAY_S, 2 * WEEK_S
_MONDAY_S = 4 * DAY_S  # the epoch began on a Thursday; the first Monday was its fifth day


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What all classes of a trace share: its first request (us), its span, its clock's step, the windows.

    ``absolute``: times are since the epoch, so the weekday is known. ``timeline``: one of ``TIMELINES``.
    """

    start_us: int
    span_s: float
    resolution_us: int
    absolute: bool
    window_s: float
    timeline: str = AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalsFit:
    """The model's parts, and what they were made from."""

    arrivals: Arrivals
    bursts: Bursts | None
    burstiness: Burstiness | None
    episodes: Episodes
    windows: Windows


def fit_arrivals(times_us: Int64s, frame: Frame, starts_us: Int64s | None = None) -> ArrivalsFit:
    """Return how requests at ``times_us`` (in order) come; with ``starts_us``, those of sessions are the bursty ones.

    Sessions' bursts are not looked for: their later turns follow the first, and alpha is that of the starts.
    """
    span_s, window_s = frame.span_s, frame.window_s
    searched = starts_us is None
    episodes = find_episodes(times_us, start_us=frame.start_us, span_s=span_s) if searched else Episodes.none()
    apart = episodes if matter(episodes, len(times_us)) else None
    at_s = _seconds(times_us, frame)
    windows = cut(at_s, span_s=span_s, window_s=window_s, episodes=apart)
    if apart is not None:
        episodes = apart = against(apart, windows)
    points_us = times_us if starts_us is None else starts_us
    burstiness = _burstiness(points_us, frame, apart)
    if apart is not None and burstiness and burstiness.law:
        # Gaps of no family, however episodes are taken out: those of the whole trace hold its bursts.
        whole = _burstiness(points_us, frame, None)
        if whole and whole.law:
            apart, burstiness = None, whole
            windows = cut(at_s, span_s=span_s, window_s=window_s, episodes=None)
    bursts = bursts_of(apart, len(times_us)) if apart is not None else None
    alpha = burstiness.alpha if burstiness else 1.0
    by_window = burstiness.by_window if burstiness else np.full(len(windows.count), np.nan)
    level = len(times_us) / (float(windows.base_per_s @ windows.covered_s) * bursts.gain) if bursts else 1.0
    timeline, told = _timeline(windows, windows.base_per_s * level, (by_window, alpha), frame)
    arrivals = Arrivals(
        kind=RENEWAL if starts_us is None else SESSIONS,
        # The exponential family is Gamma's with alpha 1, and Gamma can carry what alpha is.
        family=burstiness.family if burstiness and burstiness.family != "exponential" else "gamma",
        rate_per_s=_short(len(times_us) / span_s, 6),
        alpha=_short(alpha, 5),
        window_s=window_s,
        profile=profile(times_us, frame),
        timeline=timeline,
        gaps=burstiness.law if burstiness else None,
        candidates=tried(_of(frame), burstiness.candidates) if burstiness else (),
        source=f"{_told(burstiness, starts_us is not None, bursts is not None)}; {told}",
    )
    return ArrivalsFit(arrivals=arrivals, bursts=bursts, burstiness=burstiness, episodes=episodes, windows=windows)


def _seconds(times_us: Int64s, frame: Frame) -> Floats:
    return np.asarray((times_us - frame.start_us) / 1e6, np.float64)


def _burstiness(points_us: Int64s, frame: Frame, apart: Episodes | None) -> Burstiness | None:
    at_s = _seconds(points_us, frame)
    windows = cut(at_s, span_s=frame.span_s, window_s=frame.window_s, episodes=apart)
    number = len(windows.count)
    window = np.minimum((at_s // frame.window_s).astype(np.int64), number - 1)
    if frame.resolution_us < 1_000_000:
        gaps = np.diff(expected_until(at_s, windows, apart))
        gaps[np.diff(points_us) == 0] = 0.0  # not a rounding error of the sum
        tick = windows.base_per_s[window[1:]] * frame.resolution_us / 1e6
        return fine_burstiness(gaps, window[1:], number, tick=tick)
    seconds = np.diff((points_us - frame.start_us) // 1_000_000)
    usable = np.ones(len(seconds), np.bool_)
    if apart is not None:
        outside = ~within(at_s, apart)
        usable = outside[1:] & outside[:-1] & (np.diff(np.searchsorted(apart.start_s, at_s)) == 0)
    return whole_burstiness(seconds[usable], window[1:][usable], number, _counts(at_s, frame, number, apart))


def _counts(at_s: Floats, frame: Frame, number: int, apart: Episodes | None) -> Floats:
    """Return arrivals in bins of 10 s, a row a window; NaN after the end and where an episode is on."""
    per_window = int(frame.window_s // BIN_S)
    place = np.minimum((at_s // frame.window_s).astype(np.int64), number - 1)
    inside = ((at_s - place * frame.window_s) // BIN_S).astype(np.int64)
    flat = (place * per_window + inside)[inside < per_window]
    counts = np.bincount(flat, minlength=number * per_window).astype(np.float64).reshape(number, per_window)
    begins = (np.arange(number) * frame.window_s)[:, None] + np.arange(per_window) * BIN_S
    counts[begins + BIN_S > frame.span_s] = np.nan
    if apart is not None:
        for begin, end in zip(apart.start_s.tolist(), apart.end_s.tolist(), strict=True):
            counts[(begins + BIN_S > begin) & (begins < end)] = np.nan
    return counts


def _timeline(windows: Windows, rate: Floats, alpha: tuple[Floats, float], frame: Frame) -> tuple[Timeline | None, str]:
    """Return the timeline, and what it is in words. ``alpha``: by window (NaN: not known), and over all.

    Where bursts are told apart, ``rate`` is the one between them: generating puts them on top.
    """
    alphas, overall = alpha
    wanted = frame.timeline
    if wanted == AUTO:
        wanted = FULL if frame.span_s <= FULL_S_MAX else WEEK
    if wanted == WEEK and (frame.span_s < WEEK_S or WEEK_S % frame.window_s):
        wanted = NONE
    if wanted == NONE or len(windows.count) < 2:
        return None, "no timeline: the mean rate" + (" and the profile" if frame.span_s >= _DAY_SPAN_MIN_S else "")
    seconds: Floats = windows.covered_s
    count: Floats = rate * seconds
    weights = np.where(np.isnan(alphas), 0.0, count)
    shaped = weights * np.nan_to_num(alphas)
    told = f"timeline: {len(count)} windows as they were"
    if wanted == WEEK:
        week = int(WEEK_S / frame.window_s)
        first_s = frame.start_us / 1e6 - (_MONDAY_S if frame.absolute else 0)
        place = (np.floor(first_s / frame.window_s + 1e-9).astype(np.int64) + np.arange(len(count))) % week
        seconds, count, weights, shaped = (
            np.asarray(np.bincount(place, v, week), np.float64) for v in (seconds, count, weights, shaped)
        )
        begins = "Monday 00:00" if frame.absolute else "the beginning of a week since the trace's time 0"
        told = f"timeline: the typical week from {begins} (windows of {frame.span_s / WEEK_S:.1f} weeks averaged)"
    number = len(count)
    known = np.where(weights > 0, shaped / np.maximum(weights, 1e-12), overall)
    return Timeline(
        start_s=tuple((np.arange(number) * frame.window_s).tolist()),
        rate_per_s=tuple(_short(v, 5) for v in (count / np.maximum(seconds, 1e-9)).tolist()),
        alpha=tuple(_short(v, 4) for v in known.tolist()),
    ), told


def profile(times_us: Int64s, frame: Frame) -> tuple[float, ...]:
    """Return 24 factors by hour of the day (from two days on) or 168 by hour of the week (from two weeks on).

    The latter only where the weekday is known. An hour's factor is its rate over the time the trace covers of it.
    """
    weekly = frame.absolute and frame.span_s >= _WEEK_SPAN_MIN_S
    if frame.span_s < _DAY_SPAN_MIN_S:
        return ()
    hours = 168 if weekly else 24
    shift_s = _MONDAY_S if weekly else 0
    hour = (times_us // 1_000_000 - shift_s) // 3600 % hours
    begin_s = frame.start_us / 1e6 - shift_s
    edges = np.unique(np.concatenate([[begin_s, begin_s + frame.span_s], _whole_hours(begin_s, frame.span_s)]))
    covered = np.bincount(((edges[:-1] + 1e-6) // 3600).astype(np.int64) % hours, np.diff(edges), hours)
    rate = np.bincount(hour, minlength=hours) / np.maximum(covered, 1e-9)
    return tuple(_short(v, 4) for v in (rate / rate.mean()).tolist()) if rate.any() else ()


def _whole_hours(begin_s: float, span_s: float) -> Floats:
    first = np.ceil(begin_s / 3600)
    return np.arange(first, np.floor((begin_s + span_s) / 3600) + 1, dtype=np.float64) * 3600


def _of(frame: Frame) -> str:
    """Return what families were fitted to: fine gaps are measured in expected requests, whole seconds in seconds."""
    return "gaps" if frame.resolution_us >= 1_000_000 else "gaps over their expected length"


def _short(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _told(found: Burstiness | None, of_sessions: bool, bursts: bool) -> str:  # noqa: FBT001 - two yes-or-no facts
    if found is None:
        return "too few gaps to know the burstiness: alpha 1 (Poisson) is assumed"
    of = "gaps between starts of sessions" if of_sessions else "gaps"
    apart = ", bursts apart" if bursts else ""
    known = f" (95 % {found.lower:.4g} to {found.upper:.4g})" if found.lower is not None else ""
    return f"alpha {found.alpha:.4g}{known} by {found.method} from {found.gaps} {of}{apart}; " + (
        "what any family would draw is far from them, so their quantiles are drawn from"
        if found.law
        else f"{found.family} {'is likeliest with that CV' if found.method == MOMENTS else 'has the least AIC'}"
    )
