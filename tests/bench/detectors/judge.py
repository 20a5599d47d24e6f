"""From alarms to figures: false alarms per key and day, bursts missed, delay."""

from dataclasses import dataclass
from statistics import median

import numpy as np

from tests.bench.detectors.trials import DAY, Trial

WARM_S = 300
GAP_S = 60  # a score that comes back within a minute is the same alarm
GRACE_S = 10

Alarms = list[list[int]]  # per stream, the seconds at whose end an alarm began


def crossings(scores: np.ndarray, threshold: float) -> Alarms:
    """The alarms of score paths: reaching the threshold after a minute below it."""
    found = []
    for path in scores:
        at = np.flatnonzero(path >= threshold)
        at = at[at >= WARM_S]
        found.append(at[np.diff(at, prepend=-DAY) > GAP_S].tolist())
    return found


def alarms_per_day(alarms: Alarms, trial: Trial) -> float:
    return sum(map(len, alarms)) / (trial.counts.size / DAY)


@dataclass(frozen=True)
class Verdict:
    """The delay of each burst in seconds from its start to the end of the deciding second; None: missed."""

    trial: Trial
    delays: tuple[int | None, ...]

    def missed_percent(self) -> float:
        return 100 * sum(delay is None for delay in self.delays) / len(self.delays)

    def found(self) -> str:
        return f"{sum(delay is not None for delay in self.delays)}/{len(self.delays)}"

    def median_delay_s(self, factor: int | None = None, least_rate: float = 0) -> float | None:
        """Median over the bursts found, of one factor and a least background rate if asked for."""
        delays = [
            delay
            for (stream, _, _, times), delay in zip(self.trial.bursts, self.delays, strict=True)
            if delay is not None
            and factor in {None, times}
            and (not least_rate or float(self.trial.names[stream].split()[1][:-2]) >= least_rate)
        ]
        return median(delays) if delays else None


def judge(alarms: Alarms, trial: Trial) -> Verdict:
    """A burst is found by the first alarm from its start to 10 s after its end."""
    delays = []
    for stream, start, duration, _ in trial.bursts:
        hits = [at + 1 - start for at in alarms[stream] if start <= at < start + duration + GRACE_S]
        delays.append(min(hits, default=None))
    return Verdict(trial, tuple(delays))
