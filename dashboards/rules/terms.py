"""Pieces of PromQL that alerts are put together from. Pure."""


def greatest(metric: str, by: str = "service") -> str:
    """Return a gauge without ``instance``: services move from worker to worker, and an alert must not move along.

    >>> greatest("burst_active")
    'max by (service) (burstwatch_burst_active)'
    """
    return f"max by ({by}) (burstwatch_{metric})"


def risen(counter: str, window: str, by: str) -> str:
    """Return by how much a counter rose within ``window``, where all its series are there from the start, at 0."""
    return f"sum by ({by}) (increase(burstwatch_{counter}[{window}]))"


def counted(counter: str, window: str, by: str) -> str:
    """Return by how much a counter rose within ``window``, where series appear with the first thing they count.

    ``increase`` knows nothing of the time before a series' first sample: a single dead letter would never be told.
    So a series that was not there ``window`` ago counts in full.
    """
    name = f"burstwatch_{counter}"
    return f"sum by ({by}) (increase({name}[{window}]) > 0 or ({name} unless {name} offset {window}))"
