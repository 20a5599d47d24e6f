"""What a benchmark is to do: every choice in one value."""

from dataclasses import dataclass

import numpy as np

from workload.bench.result import Objective
from workload.bench.source import Source
from workload.trace.columns import Trace

CVS = (0.5, 1.0, 2.0, 4.0, 8.0)
ASCENDING, RANDOM = "ascending", "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A sweep: every one of ``cvs`` at every one of ``rates_per_s``, ``repeats`` times with other chance.

    ``order``: "ascending" runs the calm ones first: their speeds are what the estimates rest on, and a server that
    the burstiest run brings down has been measured until then. "random" (drawn by ``seed``) keeps what drifts with
    time (heat, other users) from looking like burstiness.
    """

    source: Source
    slo: Objective
    cvs: tuple[float, ...] = CVS
    rates_per_s: tuple[float, ...] = (4.0,)
    duration_s: float = 120.0
    repeats: int = 1
    seed: int = 1
    order: str = ASCENDING

    def points(self) -> list[tuple[float, float]]:
        """Return every (rate, CV) in the order they are run."""
        points = [(rate, cv) for rate in sorted(self.rates_per_s) for cv in sorted(self.cvs)]
        if self.order == RANDOM:
            np.random.default_rng([self.seed, 0]).shuffle(points)
        return points

    def traces(self, rate_per_s: float, cv: float) -> list[Trace]:
        """Return what is sent at a point, one trace a repeat. The lengths do not depend on the CV.

        A point's chance depends on the seed alone, not on which other points there are.
        """
        return [
            self.source.at(cv, rate_per_s=rate_per_s, duration_s=self.duration_s, seed=(self.seed, 1 + repeat))
            for repeat in range(self.repeats)
        ]
