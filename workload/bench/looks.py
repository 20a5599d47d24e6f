"""Looks at an engine's state, as they were taken, and as columns of a run. Pure."""

from dataclasses import dataclass, field

import numpy as np

from workload.bench.engine_metrics import Reading
from workload.bench.measured import Floats, Watched


@dataclass(slots=True)
class Looks:
    """Readings and when they were taken, microseconds since the epoch."""

    at_us: list[int] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    def within(self, start_us: int, end_us: int) -> Watched | None:
        """Return those from ``start_us`` to ``end_us`` as columns, in seconds since the start; None if none are."""
        kept = [(at, one) for at, one in zip(self.at_us, self.readings, strict=True) if start_us <= at <= end_us]
        if not kept:
            return None

        def column(name: str) -> Floats:
            values = [getattr(reading, name) for _, reading in kept]
            return np.asarray([np.nan if value is None else value for value in values], np.float64)

        return Watched(
            t_s=np.asarray([(at - start_us) / 1e6 for at, _ in kept], np.float64),
            kv=column("kv"),
            running=column("running"),
            waiting=column("waiting"),
            preemptions=column("preemptions"),
        )
