"""The paper's analysis of a trace: rate, burstiness, bursts, lengths, sessions, failures; pure, of a ``Trace``."""

from dataclasses import dataclass
from typing import Any

from workload.analyse.arrival_facts import Burstiness, Bursts, Dispersion
from workload.analyse.facts import (
    ClassAnalysis,
    Failures,
    FileFacts,
    Latency,
    Lengths,
    RateFacts,
    Relation,
    Sessions,
)
from workload.analyse.plain import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the caller may choose.

    Attributes:
        window_s: length of the windows burstiness is looked at in; the paper's are 20 minutes.
        day_zero_weekday: weekday of the day the trace's clock begins on, 0 = Monday; None: not known. Not used where
            times are calendar times. The default is BurstGPT's (2023-11-01, a Wednesday, as its authors' figures
            suggest; the files do not say).
        zone_s: seconds to add to calendar times before days and hours are told (0: UTC).
        classes_max: classes looked at one by one, the greatest first.
        bursts: look for bursts, too.
    """

    window_s: int = 1200
    day_zero_weekday: int | None = 2
    zone_s: int = 0
    classes_max: int = 12
    bursts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All that ``analyse`` found; ``classes`` are log types, and models within them, where there is more than one."""

    file: FileFacts
    rate: RateFacts
    burstiness: Burstiness
    dispersion: Dispersion
    bursts: Bursts
    lengths: Lengths
    relation: Relation
    sessions: Sessions
    failures: Failures
    latency: Latency
    classes: tuple[ClassAnalysis, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it; what is not known is None."""
        found: dict[str, Any] = plain(self)
        return found
