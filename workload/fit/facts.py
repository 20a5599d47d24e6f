"""What a fit found, as plain values: for ``--json`` and for the text. Pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from workload.fit.candidates import Candidate, Floats
from workload.fit.fit import ClassFit, Fit
from workload.model.model import Quantiles

SHOWN = (0.5, 0.9, 0.99)


def facts_of(fit: Fit) -> dict[str, Any]:
    """Return the fit as a JSON-able tree: name, notes, and a table for each class. What is not known is None."""
    return {
        "name": fit.model.name,
        "rows": fit.model.source.rows,
        "span_s": fit.model.source.span_s,
        "notes": list(fit.notes),
        "classes": [_class(one) for one in fit.classes],
    }


def _class(one: ClassFit) -> dict[str, Any]:
    part = one.part
    return {
        "name": part.name,
        "rows": one.rows,
        "share": part.share,
        "arrivals": _arrivals(one),
        "bursts": _bursts(one),
        "lengths": {
            "rows": one.lengths.rows,
            "request_tokens": _shown(part.lengths.probabilities, part.lengths.request_tokens),
            "request_candidates": _candidates(one.lengths.request),
            "response_candidates": _candidates(one.lengths.response),
            "response_by_request": [
                {
                    "request_up_to": bar.request_up_to,
                    "response_p50": float(np.interp(0.5, bar.probabilities, bar.response_tokens)),
                }
                for bar in part.lengths.response_given_request
            ],
        },
        "sessions": _sessions(one),
        "failures": None
        if part.failures is None
        else {
            "ratio": part.failures.ratio,
            "source": part.failures.source,
            "by_load": [
                {"rate_up_to_per_s": bar.rate_up_to_per_s, "ratio": bar.ratio} for bar in part.failures.by_load
            ],
        },
        "notes": list(one.notes),
    }


def _arrivals(one: ClassFit) -> dict[str, Any]:
    arrivals, found = one.part.arrivals, one.arrivals.burstiness
    by_window: Floats = found.by_window if found else np.empty(0)
    known = by_window[~np.isnan(by_window)]
    rates = one.arrivals.windows.rate_per_s
    return {
        "kind": arrivals.kind,
        "rate_per_s": arrivals.rate_per_s,
        "family": arrivals.family,
        "alpha": arrivals.alpha,
        "alpha_lower": found.lower if found else None,
        "alpha_upper": found.upper if found else None,
        "method": found.method if found else None,
        "misfit": found.misfit if found else None,
        "gaps": found.gaps if found else 0,
        "candidates": _candidates(found.candidates) if found else [],
        "windows": len(rates),
        "windows_with_alpha": len(known),
        "alpha_by_window": _shown((0.0, 1.0), known) if len(known) else None,
        "rate_by_window": _shown((0.0, 1.0), rates),
        "profile": list(arrivals.profile),
    }


def _bursts(one: ClassFit) -> dict[str, Any]:
    episodes = one.arrivals.episodes
    bursts = one.part.bursts
    return {
        "found": len(episodes),
        "searched_s": episodes.searched_s,
        "per_hour": episodes.per_hour,
        "in_model": bursts is not None,
        "duration_s": _quantiles(bursts.duration_s) if bursts else None,
        "factor": _quantiles(bursts.factor) if bursts else None,
    }


def _sessions(one: ClassFit) -> dict[str, Any] | None:
    if one.sessions is None:
        return None
    sessions = one.sessions.sessions
    think = sessions.think_time_s
    return {
        "sessions": len(one.sessions.starts_us),
        "mean_turns": one.sessions.mean_turns,
        "later_ratio": one.sessions.later_ratio,
        "turns": list(sessions.turns),
        "tail_ratio": sessions.tail_ratio,
        "turns_max": sessions.turns_max,
        "think_time_s": _quantiles(think) if isinstance(think, Quantiles) else None,
        "think_time_lognormal": [
            {"mu": one.parameters.get("mu"), "sigma": one.parameters.get("sigma"), "ks": one.ks}
            for one in one.sessions.think_time
        ],
        "growth_tokens": _quantiles(sessions.growth_tokens),
        "first_request_tokens": _quantiles(sessions.first_request_tokens),
    }


def _candidates(found: Sequence[Candidate]) -> list[dict[str, Any]]:
    return [one.as_dict() for one in sorted(found, key=lambda one: one.aic)]


def _quantiles(law: Quantiles) -> dict[str, float]:
    return _shown(law.probabilities, law.values)


def _shown(probabilities: Sequence[float], values: Sequence[float] | Floats) -> dict[str, float]:
    """Return p50, p90, p99 and the greatest: of quantiles, or of plain values (probabilities 0 and 1 only)."""
    if len(probabilities) != len(values):
        found = np.quantile(np.asarray(values), SHOWN).tolist()
    else:
        found = np.interp(SHOWN, probabilities, values).tolist()
    named = {f"p{100 * p:g}": round(float(v), 6) for p, v in zip(SHOWN, found, strict=True)}
    return {**named, "max": float(np.max(values))}
