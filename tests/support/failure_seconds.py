"""Shows a failure detector seconds in a row, as ``Alarms`` does."""

from streams.processors.failures import FailureDetector


def shown(detector: FailureDetector, start: int, ended: list[int], failed: list[int], reasons=None) -> list:
    """The episodes found in the seconds from ``start`` on; ``reasons``: second -> reason -> failures."""
    if detector.calm and not any(failed):
        detector.skip(start, ended)
        return []
    found = []
    for at, (n, k) in enumerate(zip(ended, failed, strict=True), start):
        found += detector.step(at, n, k, (reasons or {}).get(at, {}) if k else {})
    return found
