"""Numbers, times and episodes as people read them: the same words on every screen and in every report. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Any

# What these functions raise for a number, time or message that is not what it should be.
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def number(value: float | None, digits: int = 2) -> str:
    """Return a number for people; a dash where there is not enough data.

    >>> number(1.234), number(None)
    ('1.23', '-')
    """
    return "-" if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """Return a ratio as a percentage; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.1f}%"


def seconds(value: float | None) -> str:
    """Return a duration for people.

    >>> seconds(0.0123), seconds(4.5), seconds(None)
    ('12 ms', '4.5 s', '-')
    """
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def clock(us: int) -> str:
    """Return a time (us since the epoch) for people, in UTC.

    >>> clock(1_700_000_000_000_000)
    '2023-11-14 22:13:20'
    """
    return f"{_utc(us):%Y-%m-%d %H:%M:%S}"


def time_of_day(us: int) -> str:
    """Return the time of day of ``us`` (since the epoch) in UTC.

    >>> time_of_day(1_700_000_000_000_000)
    '22:13:20Z'
    """
    return f"{_utc(us):%H:%M:%S}Z"


def _utc(us: int) -> datetime:
    # Not datetime.fromtimestamp: a time beyond every calendar is an OSError there, which hides among true ones.
    return _EPOCH + timedelta(seconds=us // 1_000_000)


def episode_line(episode: dict[str, Any]) -> str:
    """Return an episode message as one line: what happened, when, how big. Kinds not known are named, no more."""
    kind = str(episode.get("kind", "burst"))
    begins = episode.get("state") == "onset"
    at_us = episode.get("detected" if begins else "end") or 0
    what = f"{kind.upper()} begins" if begins else f"{kind} ends  "
    size = episode_size(episode)
    return f"{time_of_day(at_us)} {what} {episode.get('service', '?')}{': ' if size else ''}{size}"


def episode_size(episode: dict[str, Any]) -> str:
    """Return how big the episode of an episode message is, in words; nothing for a kind that is not known."""
    words = _SIZES.get(str(episode.get("kind", "burst")))
    return words(episode) if words else ""


def _burst_size(episode: dict[str, Any]) -> str:
    baseline, peak = episode.get("baseline_rate") or 0.0, episode.get("peak_rate") or 0.0
    arrivals, z = episode.get("arrivals") or 0, number(episode.get("peak_z"), 1)
    rose_s = _rose_s(episode)
    if not rose_s or not arrivals or (episode.get("state") != "onset" and peak > baseline):
        against = f"{number(baseline, 1)}/s{_times(peak, baseline)}"
        return f"{number(peak, 1)}/s over 10 s against {against}, z {z}, {arrivals} requests"
    # At its onset the last 10 s are mostly of before: what rose is said, not that.
    against = f"{number(baseline, 1)}/s expected{_times(arrivals / rose_s, baseline)}"
    return f"{arrivals} requests in {rose_s:g} s against {against}, z {z}"


def _rose_s(episode: dict[str, Any]) -> float | None:
    """Return how long (s) the requests of a burst's message took: up to its detection, or to its end."""
    until = episode.get("detected" if episode.get("state") == "onset" else "end")
    onset = episode.get("onset")
    return None if until is None or onset is None or until <= onset else (until - onset) / 1_000_000


def _times(rate: float, baseline: float) -> str:
    return f" = {rate / baseline:.1f}x" if baseline else ""


def _failure_size(episode: dict[str, Any]) -> str:
    reasons = episode.get("failures_by_reason") or {}
    most = f", most {max(sorted(reasons), key=lambda reason: reasons[reason])}" if reasons else ""
    where = _ATTRIBUTIONS.get(str(episode.get("attribution")), "attribution unknown")
    failures, completions = episode.get("failures") or 0, episode.get("completions") or 0
    ratio = failures / completions if completions else None
    share = "" if ratio is None else f" ({_share(ratio)})"
    peak = episode.get("peak_ratio") or 0.0
    # A minute that began long before the episode may be better than the episode as a whole: no worst of anything.
    worse = peak > (ratio or 0.0) and (ratio is None or _share(peak) != _share(ratio))
    worst = f", worst minute {_share(peak)}" if worse else ""
    return f"{failures} of {completions} failed{share}{worst}{most}, {where}"


def _share(ratio: float) -> str:
    """Return a share as people say it: whole percents, but for the small ones."""
    return f"{ratio:.0%}" if ratio >= 0.1 else percent(ratio)


def _pressure_size(episode: dict[str, Any]) -> str:
    ahead = episode.get("exhaustion_s")
    full = ""
    if ahead is not None and episode.get("state") == "onset":
        full = ", full at once" if ahead < 1 else f", full in {number(ahead, 0)} s or more"
    return (
        f"{episode.get('engine', '?')} on {episode.get('node', '?')}, kv {percent(episode.get('kv_usage_peak'))}"
        f"{full}, waiting {episode.get('waiting_peak') or 0}, preemptions {episode.get('preemptions') or 0}"
    )


_ATTRIBUTIONS = {
    "burst": "in a burst",
    "memory_pressure": "under memory pressure",
    "burst_and_memory_pressure": "in a burst and under memory pressure",
    "neither": "neither in a burst nor under memory pressure",
}
_SIZES = {"burst": _burst_size, "failure": _failure_size, "pressure": _pressure_size}
