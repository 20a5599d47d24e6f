"""Bursts, failures and memory pressure as episodes, and their messages (topic llm.episodes).

Every episode is told twice under one id: at its ``onset`` (values so far, no end) and at its ``end``. Times are
integer microseconds of event time; None means not known, never 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from streams.processors.outputs import MESSAGE_VERSION, Episode


class PressureEvidence(NamedTuple):
    """What a service's engines said during a span of event time; None: no readings of it.

    Attributes:
        kv_usage_peak: greatest KV-cache usage ratio (0 to 1) of any engine.
        waiting_peak: most requests waiting in one engine's queue.
        preemptions: requests preempted, over all engines.
    """

    kv_usage_peak: float | None = None
    waiting_peak: int | None = None
    preemptions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureEpisode:
    """A service fails more than its budget allows, beyond chance.

    Attributes:
        onset: start of the second of the first failure of the excess.
        detected: end of the second in which the rule was met.
        end: end of the last second that still belongs to it; None while it lasts.
        budget_ratio: the failure ratio allowed.
        failure_ratio_lower: lower 95 % bound (Wilson) of the failure ratio over 5 min when it was detected.
        peak_ratio: greatest failure ratio over 1 min so far.
        completions: requests that ended from onset to end (so far), ``failures`` of them failed.
        failures_by_reason: the same failures by reason.
        attribution: "burst", "memory_pressure", "burst_and_memory_pressure", "neither", or "unknown": no burst,
            and the engines' memory was not seen.
        burst_onset: start of the burst it overlaps, ``burst_peak_rate`` (1/s) that burst's peak so far.
        burst_lead_s: seconds from that burst's onset to the first failure; negative if the failures came first.
        kv_usage_peak: what the engines said from 30 s before the onset to the end (so far), see
            ``PressureEvidence``; ``waiting_peak`` and ``preemptions`` likewise.
    """

    service: str
    state: str
    onset: int
    detected: int
    end: int | None
    budget_ratio: float
    failure_ratio_lower: float
    peak_ratio: float
    completions: int
    failures: int
    failures_by_reason: Mapping[str, int]
    attribution: str = "unknown"
    burst_onset: int | None = None
    burst_peak_rate: float | None = None
    burst_lead_s: float | None = None
    kv_usage_peak: float | None = None
    waiting_peak: int | None = None
    preemptions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureEpisode:
    """An engine runs out of KV cache, or will within seconds.

    Attributes:
        node: the serving node; ``engine`` the engine process on it.
        onset: event time of the reading that began it; ``detected`` of the one that showed it.
        end: event time of the last reading that still belongs to it; None while it lasts.
        kv_usage_peak: greatest KV-cache usage ratio (0 to 1) so far; None if the engine does not tell.
        waiting_peak: most requests waiting so far.
        preemptions: requests preempted since the onset, the onset's reading included.
        exhaustion_s: seconds to exhaustion as predicted at the onset, lower bound; None if it was not growing.
        during_burst: a burst of the service was on at the onset.
    """

    service: str
    state: str
    node: str
    engine: str
    onset: int
    detected: int
    end: int | None
    kv_usage_peak: float | None
    waiting_peak: int | None
    preemptions: int | None
    exhaustion_s: float | None
    during_burst: bool


AnyEpisode = Episode | FailureEpisode | PressureEpisode
_KINDS: dict[type[AnyEpisode], str] = {Episode: "burst", FailureEpisode: "failure", PressureEpisode: "pressure"}
_FIELDS = {episode: tuple(field.name for field in fields(episode)) for episode in _KINDS}


def episode_message(episode: AnyEpisode) -> dict[str, Any]:
    """Return ``episode`` as the JSON object of topic llm.episodes; onset and end share one id."""
    kind = _KINDS[type(episode)]
    # Two engines of a service may come under pressure with the same reading's time.
    place = [episode.node, episode.engine] if isinstance(episode, PressureEpisode) else []
    return {
        "v": MESSAGE_VERSION,
        "id": "|".join([episode.service, kind, str(episode.onset), *place]),
        "kind": kind,
        **{name: getattr(episode, name) for name in _FIELDS[type(episode)]},
    }
