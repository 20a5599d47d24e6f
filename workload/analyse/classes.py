"""What is in a trace, and the classes (log type, and model within it) it is looked at by. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workload.analyse.facts import FileFacts
from workload.trace.columns import UNKNOWN, Labels, OutcomeCode, Trace


@dataclass(frozen=True, slots=True)
class Class:
    """A class of requests: its names (None: all, or not told) and the leaves it is made of."""

    model: str | None
    log_type: str | None
    leaves: tuple[int, ...]

    @property
    def name(self) -> str:
        """What to call it."""
        return " · ".join(name for name in (self.log_type, self.model) if name is not None)


@dataclass(frozen=True, slots=True)
class Leaves:
    """Which leaf (log type and model, as far as told) each row is in: ``of`` (n,), 0 to ``count`` - 1."""

    of: NDArray[np.int8]
    classes: tuple[Class, ...]
    count: int

    def rows(self, leaves: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """Return the rows of these leaves; None for all of them."""
        if len(leaves) == self.count:
            return None
        chosen = np.zeros(len(self.of), np.bool_)
        for leaf in leaves:
            chosen |= self.of == leaf
        return chosen


def leaves(trace: Trace, most: int) -> Leaves:
    """Return the leaves of a trace and the classes to look at.

    Those are the log types (where there are several) and the models within them (likewise), the most frequent first, at
    most ``most`` (up to 60). Rows that name neither, or a rarer model, are in a leaf that is no class of its own.
    With 0 there are no classes, and one leaf.
    """
    if not most:
        return Leaves(np.broadcast_to(np.int8(0), len(trace)), (), 1)
    width = len(trace.model.names) + 1
    code = (trace.log_type.codes + 1) * np.int32(width) + (trace.model.codes + 1)
    n = np.bincount(code, minlength=1) if len(trace) else np.ones(1, np.int64)
    kinds = [(c // width - 1, c % width - 1) for c in np.argsort(-n, kind="stable").tolist() if n[c]]
    own = [kind for kind in kinds if kind[1] >= 0][:most]
    rest = sorted({kind[0] for kind in kinds if kind not in own})
    number = {kind: i for i, kind in enumerate(own)} | {(t, None): len(own) + i for i, t in enumerate(rest)}
    table = np.zeros(len(n), np.int8)
    for t, m in kinds:
        table[(t + 1) * width + m + 1] = number[(t, m) if (t, m) in number else (t, None)]
    found = _classes(trace, own, number, most)
    return Leaves(table[code], tuple(found), len(number))


def _classes(
    trace: Trace, own: list[tuple[int, int]], number: dict[tuple[int, int | None], int], most: int
) -> list[Class]:
    types = list(dict.fromkeys(t for t, _ in number))
    several = [t for t in types if t >= 0]
    found = []
    for t in types:
        within = tuple(i for (kind, _), i in number.items() if kind == t)
        name = trace.log_type.names[t] if t >= 0 else None
        if len(several) > 1 and t >= 0:
            found.append(Class(None, name, within))
        models = [m for kind, m in own if kind == t]
        if len(within) > 1:
            found += [Class(trace.model.names[m], name, (number[t, m],)) for m in models]
    return found[:most]


def counted(labels: Labels) -> dict[str, int]:
    """Return rows by value, the most frequent first; names that nobody uses are left out."""
    if not labels.names:
        return {}
    n = np.bincount(labels.codes + 1, minlength=len(labels.names) + 1)[1:].tolist()
    return dict(sorted(((name, k) for name, k in zip(labels.names, n, strict=True) if k), key=lambda pair: -pair[1]))


def file_facts(trace: Trace, origin: str, back: tuple[int, int]) -> FileFacts:
    """Return the facts of ``facts.FileFacts`` of a trace in order of time; ``back`` is its file's ``steps_back``."""
    n, times = len(trace), trace.submitted_us
    outcomes = np.bincount(trace.outcome, minlength=len(OutcomeCode)).tolist()
    return FileFacts(
        rows=n,
        span_s=trace.span_s,
        first_s=float(times[0]) / 1e6 if n else None,
        last_s=float(times[-1]) / 1e6 if n else None,
        absolute=trace.absolute,
        whole_seconds=trace.resolution_us >= 1_000_000,
        steps_back=back[0],
        step_back_max_s=back[1] / 1e6,
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
    return {name: float(np.mean(_told(column))) for name, column in {**columns, **texts}.items()}


def _told(column: NDArray[np.int32 | np.int64]) -> NDArray[np.bool_]:
    told: NDArray[np.bool_] = (column if column.strides[0] else column[:1]) != UNKNOWN  # an absent column is one value
    return told
