"""What a boundary's row says of a service's engines: how full their memory was, and where each stands. Pure.

A boundary at ``end`` becomes final when event time is at ``end`` + hold, and sees the readings judged by then
(pressure.py): the peaks are of the 10 s up to ``end``, the engines stand as of ``end`` + hold. So a row is a function
of the log like its windows. A reading that comes later, or whose own clock is more than 10 s behind, is in no peak.
"""

from collections.abc import Iterable
from heapq import nsmallest

from streams.processors.engine_track import SECOND_US, EngineTrack, Place
from streams.processors.episodes import PressureEvidence
from streams.processors.outputs import EngineMemory, ServiceMemory

PEAK_US = 10 * SECOND_US
ENGINES_SHOWN = 50


def service_memory(said: PressureEvidence, live: Iterable[tuple[Place, EngineTrack]]) -> ServiceMemory | None:
    """Return the memory of a service whose engines ``said`` that in 10 s; None if there is nothing to say.

    ``live`` are the engines to show: the fullest ``ENGINES_SHOWN`` of them, those that do not tell usage last.
    """
    fullest = nsmallest(ENGINES_SHOWN, live, key=_emptiness)
    if not fullest and said == PressureEvidence():
        return None
    return ServiceMemory(
        kv_usage_peak=said.kv_usage_peak,
        waiting_peak=said.waiting_peak,
        preemptions=said.preemptions,
        engines=tuple(_engine(track) for _, track in fullest),
    )


def _emptiness(known: tuple[Place, EngineTrack]) -> tuple[float, Place]:
    place, track = known
    usage = track.last.kv_usage
    return (1.0 if usage is None else -usage, place)


def _engine(track: EngineTrack) -> EngineMemory:
    last = track.last
    _, full = track.kv_outlook()
    return EngineMemory(
        node=last.node,
        engine=last.engine,
        kv_cache_usage_ratio=last.kv_usage,
        running=last.running,
        waiting=last.waiting,
        kv_exhaustion_lower_s=None if full is None else full.lower_s,
        kv_exhaustion_estimate_s=None if full is None else full.estimate_s,
    )
