"""What is in a trace, and the classes (log type, and model within it) it is looked at by. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workload.analyse.facts import FileFacts
from workload.trace.columns import UNKNOWN, Labels, OutcomeCode, Trace


@dataclass(frozen=True, slots=True)
class Class:
    """A class of requests: its names (None: all of them) and its rows."""

    model: str | None
    log_type: str | None
    rows: NDArray[np.bool_]

    @property
    def name(self) -> str:
        """What to call it."""
        return " · ".join(name for name in (self.log_type, self.model) if name is not None)


def classes(trace: Trace, most: int) -> Iterator[Class]:
    """Return log types (where there are several), and models within them (likewise), the most frequent first.

    At most ``most`` of them; rows that name neither are in none.
    """
    found = 0
    types = _by_size(trace.log_type)
    names: list[str | None] = [*types] or [None]
    for log_type in names:
        rows = np.ones(len(trace), np.bool_) if log_type is None else trace.log_type.is_in(log_type)
        if len(types) > 1:
            if found == most:
                return
            found += 1
            yield Class(None, log_type, rows)
        models = _by_size(Labels(trace.model.codes[rows], trace.model.names))
        for model in models if len(models) > 1 else ():
            if found == most:
                return
            found += 1
            yield Class(model, log_type, rows & trace.model.is_in(model))


def counted(labels: Labels) -> dict[str, int]:
    """Return rows by value, the most frequent first; names that nobody uses are left out."""
    n = np.bincount(labels.codes + 1, minlength=len(labels.names) + 1)[1:].tolist()
    return dict(sorted(((name, k) for name, k in zip(labels.names, n, strict=True) if k), key=lambda pair: -pair[1]))


def _by_size(labels: Labels) -> list[str]:
    return list(counted(labels))


def file_facts(trace: Trace, origin: str) -> FileFacts:
    """Return the facts of ``facts.FileFacts`` of a trace in order of time."""
    n, times = len(trace), trace.submitted_us
    outcomes = np.bincount(trace.outcome, minlength=len(OutcomeCode)).tolist()
    return FileFacts(
        rows=n,
        span_s=trace.span_s,
        first_s=float(times[0]) / 1e6 if n else None,
        last_s=float(times[-1]) / 1e6 if n else None,
        absolute=trace.absolute,
        whole_seconds=trace.resolution_us >= 1_000_000,
        same_time_ratio=float(np.mean(times[1:] == times[:-1])) if n > 1 else None,
        models=counted(trace.model),
        log_types=counted(trace.log_type),
        services=counted(trace.service),
        outcomes={code.name.lower(): outcomes[code] for code in OutcomeCode if outcomes[code]},
        reasons=counted(trace.reason),
        sessions=len(counted(trace.session)),
        known=_known(trace) if n else {},
        origin=origin,
    )


def _known(trace: Trace) -> dict[str, float]:
    columns = {
        name: getattr(trace, name) for name in ("elapsed_us", "first_token_us", "request_tokens", "response_tokens")
    }
    texts = {name: getattr(trace, name).codes for name in ("model", "log_type", "session", "service", "reason")}
    return {name: float(np.mean(column != UNKNOWN)) for name, column in {**columns, **texts}.items()}
