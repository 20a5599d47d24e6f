"""Messages of llm.windows and llm.episodes as the few checked values the page shows. Pure.

What comes from a topic is not trusted: a message that is not what it should be raises one of ``MALFORMED``, and no
text leaves here that is not printable. Missing values are None, never 0.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from burstwatch.wording import episode_size
from collector.schema.columns import is_token

YEAR_2100_US = 4_102_444_800_000_000
NUMBER_MAX = 1e15
WINDOWS_MAX = 16
ENGINES_MAX = 50
WORDS_MAX = 300
RATE_WINDOW_S = 10
FAILURE_WINDOW_S = 60
KINDS = frozenset({"burst", "failure", "pressure"})
# A point of the charts: end (us) of its row, then what is drawn there. The order is the wire format of /events.
POINT_FIELDS = (
    "end", "rate", "failure_ratio", "failure_ratio_lower", "failure_ratio_upper", "kv_usage_peak", "waiting_peak",
)  # fmt: skip

_WINDOW_NUMBERS = (
    "covered_s", "arrivals", "rate", "cv", "gamma_shape", "gamma_shape_lower", "gamma_shape_upper",
    "dispersion_1s", "dispersion_1s_lower", "dispersion_1s_upper", "completions", "failures",
    "failure_ratio", "failure_ratio_lower", "failure_ratio_upper", "concurrency",
)  # fmt: skip
_ENGINE_NUMBERS = (
    "kv_cache_usage_ratio", "running", "waiting", "kv_exhaustion_lower_s", "kv_exhaustion_estimate_s",
)  # fmt: skip
_EPISODE_NUMBERS = ("baseline_rate", "peak_rate", "peak_z", "peak_ratio", "kv_usage_peak", "exhaustion_s")
_US = 1_000_000

Point = tuple[int | float | None, ...]


class ServiceRow(NamedTuple):
    """A service's total at one boundary: when, what the charts draw, and what table and memory bars say."""

    service: str
    end: int
    point: Point
    now: dict[str, Any]


def service_row(message: Mapping[str, Any]) -> ServiceRow | None:
    """Return a message of llm.windows as values; None for rows of a model and log type, which the page leaves out."""
    service = _token(message["service"])
    end = _time(message["end"])
    windows = message["windows"]
    if message["model"] != "all" or message["log_type"] != "all":
        return None
    if not isinstance(windows, Mapping) or not windows or len(windows) > WINDOWS_MAX:
        raise ValueError("windows")
    checked = {_window_length(key): _window(stats) for key, stats in windows.items()}
    memory = _memory(message.get("memory"))
    drawn = {"rate_s": _nearest(checked, RATE_WINDOW_S), "failure_s": _nearest(checked, FAILURE_WINDOW_S)}
    point = (
        end,
        checked[drawn["rate_s"]]["rate"],
        *(checked[drawn["failure_s"]][name] for name in POINT_FIELDS[2:5]),
        *((memory or {}).get(name) for name in POINT_FIELDS[5:]),
    )
    now = {"end": end, "drawn": drawn, "windows": {str(s): checked[s] for s in sorted(checked)}, "memory": memory}
    return ServiceRow(service, end, point, now)


def episode_entry(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a message of llm.episodes as what the page shows; None for a kind that is not known.

    ``id`` is made here from what an episode is told apart by, ``place`` from what only one at a time can be at.
    """
    kind, state = message["kind"], message["state"]
    if kind not in KINDS:
        return None
    if state not in {"onset", "end"}:
        raise ValueError("state")
    service = _token(message["service"])
    engine = [_token(message["node"]), _token(message["engine"])] if kind == "pressure" else []
    onset, detected = _time(message["onset"]), _time(message["detected"])
    place = " ".join([service, kind, *engine])  # names have no spaces
    return {
        "id": f"{place} {onset}",
        "place": place,
        "service": service,
        "kind": kind,
        "engine": " ".join(reversed(engine)) or None,
        "onset": onset,
        "detected": detected,
        "end": _time(message["end"]) if state == "end" else None,
        "superseded": False,
        **{name: _number(message.get(name)) for name in _EPISODE_NUMBERS},
        **_told(message),
        "words": _printable(episode_size(dict(message))),
    }


def _told(message: Mapping[str, Any]) -> dict[str, int | float | None]:
    """Return the rate (req/s) a burst's words tell, and over how long (s) it was: None of other kinds.

    What rose since the onset is told where the last 10 s are mostly of before, as ``wording`` has it.
    """
    if message["kind"] != "burst":
        return {"told_rate": None, "told_s": None}
    peak, baseline = _number(message.get("peak_rate")) or 0, _number(message.get("baseline_rate")) or 0
    arrivals = _number(message.get("arrivals")) or 0
    at_onset = message["state"] == "onset"
    rose_s = (_time(message["detected" if at_onset else "end"]) - _time(message["onset"])) / _US
    if rose_s <= 0 or not arrivals or (not at_onset and peak > baseline):
        return {"told_rate": peak, "told_s": RATE_WINDOW_S}
    return {"told_rate": arrivals / rose_s, "told_s": rose_s}


def _window(stats: Mapping[str, Any]) -> dict[str, Any]:
    percentiles = stats.get("percentiles") or {}
    return {
        **{name: _number(stats.get(name)) for name in _WINDOW_NUMBERS},
        "time_to_first_token_s_p95": _number((percentiles.get("time_to_first_token_s") or {}).get("p95")),
        "request_duration_s_p95": _number((percentiles.get("request_duration_s") or {}).get("p95")),
    }


def _memory(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    names = ("kv_usage_peak", "waiting_peak", "preemptions")
    return {
        **{name: _number(found.get(name)) for name in names},
        "engines": [
            {
                "node": _token(engine["node"]),
                "engine": _token(engine["engine"]),
                **{name: _number(engine.get(name)) for name in _ENGINE_NUMBERS},
            }
            for engine in found["engines"][:ENGINES_MAX]
        ],
    }


def _nearest(lengths: Iterable[int], wanted_s: int) -> int:
    return min(lengths, key=lambda length: (abs(math.log(length / wanted_s)), length))


def _window_length(key: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,6}", key):
        raise ValueError("window length")
    return int(key)


def _number(value: object) -> int | float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("number")
    if not abs(value) <= NUMBER_MAX:  # NaN, too
        raise ValueError("number")
    return value


def _time(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < YEAR_2100_US:
        raise ValueError("time")
    return value


def _token(value: object) -> str:
    if not isinstance(value, str) or not is_token(value):
        raise ValueError("name")
    return value


def _printable(text: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", text)[:WORDS_MAX]
