"""The burst detectors by name: ``AnalysisSettings.detector`` chooses one."""

from collections.abc import Callable
from typing import Any

from streams.processors.bursts import BurstDetector
from streams.processors.scanz import ScanZ
from streams.processors.settings import AnalysisSettings
from streams.processors.ten_seconds import TenSecondScore

_DETECTORS: dict[str, Callable[[str, AnalysisSettings], BurstDetector]] = {
    "scanz": ScanZ,
    "ten-seconds": TenSecondScore,
}


def new_detector(service: str, settings: AnalysisSettings) -> BurstDetector:
    """Return a detector that has seen nothing."""
    return _DETECTORS[settings.detector](service, settings)


def dump_detector(detector: BurstDetector, settings: AnalysisSettings) -> dict[str, Any]:
    """Return the detector's state with its name."""
    return {"detector": settings.detector, "state": detector.dump(), "episodes": detector.status.episodes_total}


def load_detector(facts: dict[str, Any], service: str, settings: AnalysisSettings) -> BurstDetector:
    """Return the detector ``facts`` describe; if another one is asked for now, a new one.

    A new one takes over only how many bursts there were; a burst that was on is not told to end. Raises
    ``LookupError``, ``TypeError`` or ``ValueError`` for bad facts.
    """
    detector = new_detector(service, settings)
    if facts["detector"] == settings.detector:
        detector.load(facts["state"])
    else:
        detector.load(detector.dump() | {"episodes": int(facts["episodes"])})
    return detector
