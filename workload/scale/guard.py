"""Burstiness is never changed silently: scaling that would change it is refused, or done with a warning if accepted."""

from collections.abc import Iterable

from collector.schema.errors import OperatorError
from workload.scale.measure import BIN_REQUESTS, measure
from workload.scale.methods import MODEL
from workload.scale.predict import predict
from workload.scale.proof import BURSTINESS, Check, Proof, within
from workload.trace.columns import Trace


class BurstinessChanged(OperatorError):  # noqa: N818 - named for what it is
    """The way of scaling changes CV or dispersion by more than the tolerance; the message says which and what keeps."""


def expected_changes(trace: Trace, by: str, *, copies: int, keep: float, tolerance: float) -> list[Check]:
    """Return the checks of CV and dispersion that scaling will fail, by prediction."""
    before = measure(trace.submitted_us, trace.resolution_us)
    cv, dispersions = predict(trace, by, copies=copies, keep=keep)
    checks = [within("cv", before.cv, cv, tolerance)]
    checks += [
        within(f"dispersion over {m} requests", before.dispersion[m], dispersions[m], tolerance) for m in BIN_REQUESTS
    ]
    return [check for check in checks if check.ok is False]


def measured_changes(proof: Proof) -> list[Check]:
    """Return the failed checks of CV and dispersion among a proof's."""
    return [check for check in proof.checks if check.name in BURSTINESS and check.ok is False]


def judge(changes: Iterable[Check], by: str, *, accepted: bool, will: bool) -> str | None:
    """Return a warning about ``changes``, None if there are none. Raises ``BurstinessChanged`` unless ``accepted``.

    ``will``: they are predicted, not measured.
    """
    told = [_told(check) for check in changes]
    if not told:
        return None
    verb = "would change" if will else "changed"
    what = f"--by {by} {verb} the burstiness: {'; '.join(told)}"
    if accepted:
        return what
    keeps = "--by model keeps it" if by != MODEL else "--by compress keeps it (and shortens think times)"
    raise BurstinessChanged(f"{what}. {keeps}; --accept-burstiness-change goes ahead all the same")


def _told(check: Check) -> str:
    change = f"{check.change:+.0%}" if check.change is not None else "unknown"
    return (
        f"{_NAMES.get(check.name, check.name)} from {check.target:.4g} to {check.realised:.4g} "
        f"({change}, more than {check.tolerance or 0:.0%})"
    )


_NAMES = {"cv": "CV of the gaps"}
