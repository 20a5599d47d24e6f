"""The paper's burstiness: CV and Gamma parameters of the gaps per 20-minute window, and which family fits. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.stats.gamma import SHAPE_MAX, ye_chen
from streams.stats.gamma_fit import DISPERSION, MOMENT, TRIANGULAR, TRIANGULAR_RATE_MAX, YE_CHEN, ZEROS_MAX
from streams.stats.polygamma import tetragamma, trigamma
from workload.analyse.arrival_facts import FAMILIES, PARAMETERS, Burstiness
from workload.analyse.arrivals import SECOND_US, Arrivals
from workload.analyse.counts import SparseCounts
from workload.analyse.cut_fits import Fit
from workload.analyse.interarrival import MLE, describe_arrivals
from workload.analyse.plain import Columns
from workload.analyse.quantiles import quantiles
from workload.analyse.windows import GapWindows, Mapper, fit_cut, fit_fine, gap_windows, window_rates
from workload.trace.columns import Int64s

Floats = NDArray[np.float64]

GAPS_MIN = 30  # as live: ``AnalysisSettings.gaps_min``
_KS_5_PERCENT = 1.358
_DISPERSION_SCALES_S = (1, 10, 60)
_EVENTS_PER_BIN_MIN = 5  # of ``streams.stats.dispersion.shape_of_dispersion``
_BINS_MIN = 20
_MISFIT_RATE_MAX = 0.5  # whole seconds: beyond, cutting biases the moments


def burstiness(arrivals: Arrivals, *, window_s: int, mapper: Mapper = map) -> Burstiness:
    """Return the facts of ``arrival_facts.Burstiness``.

    Windows of fewer than ``GAPS_MIN`` gaps have a rate and no more. ``mapper`` may spread the fits over threads.
    """
    whole = arrivals.whole
    windows, gaps = gap_windows(arrivals, window_s * SECOND_US // arrivals.unit_us)
    enough = (windows.gaps >= GAPS_MIN) & (windows.total > 0)
    if whole:
        slow = windows.gaps <= TRIANGULAR_RATE_MAX * windows.total
        fits = fit_cut(windows, gaps, enough & slow, mapper)
        by_counts = np.full(len(enough), np.nan) if (slow | ~enough).all() else _by_counts(arrivals, windows, window_s)
        shapes = _cut_shapes(fits, enough, by_counts)
    else:
        few_ties = windows.zeros <= ZEROS_MAX * windows.gaps
        fits = fit_fine(windows, gaps, enough & few_ties, mapper)
        shapes = _fine_shapes(windows, gaps, fits["gamma"], enough)
    columns = _columns(arrivals, windows, fits, shapes, window_s)
    return Burstiness(
        window_s=window_s,
        gaps_min=GAPS_MIN,
        overall=describe_arrivals(arrivals),
        windows=columns,
        likelihood="interval" if whole else "density",
        cv_above_one_ratio=_ratio_above_one(columns["cv"]),
        quantiles={name: quantiles(columns[name]) for name in ("rate_per_s", "cv", "alpha", "beta")},
        **_verdicts(columns, windows.gaps),
    )


def _cut_shapes(
    fits: dict[str, Fit], enough: NDArray[np.bool_], by_counts: Floats
) -> tuple[Floats, NDArray[np.object_]]:
    """Choose as ``streams.stats.gamma_fit.fit_whole_seconds``."""
    likely = fits["gamma"].parameters[0]
    method = np.full(len(likely), None, object)
    shape = np.where(np.isnan(likely), by_counts, likely)
    method[~np.isnan(by_counts)] = DISPERSION
    method[~np.isnan(likely)] = TRIANGULAR
    shape[~enough], method[~enough] = np.nan, None
    return shape, method


def _by_counts(arrivals: Arrivals, windows: GapWindows, window_s: int) -> Floats:
    """Return each window's shape from the index of dispersion at the first scale that has events enough."""
    shape = np.full(len(windows.n), np.nan)
    base = int(windows.index[0])
    number = np.full(int(windows.index[-1]) - base + 1, -1)
    number[windows.index - base] = np.arange(len(windows.n))
    rate = windows.gaps / np.maximum(windows.total, 1)
    finest = SparseCounts(arrivals.at.astype(np.int64) + (arrivals.start - base * window_s), arrivals.counts)
    for scale in _DISPERSION_SCALES_S:
        bins = window_s // scale
        if window_s % scale or bins < _BINS_MIN:
            continue
        scaled = finest.coarser(scale)
        low, high = -(-(arrivals.start - base * window_s) // scale), (int(finest.bins[-1]) + 1) // scale
        inside = (scaled.bins >= low) & (scaled.bins < high)  # bins that lie within the trace as a whole
        at, counts = number[scaled.bins[inside] // bins], scaled.counts[inside].astype(np.float64)
        total, squares = np.bincount(at, counts, len(shape)), np.bincount(at, counts * counts, len(shape))
        edge = (windows.index - base) * bins
        covered = np.clip(edge + bins, low, high) - np.clip(edge, low, high)
        with np.errstate(all="ignore"):
            index = (covered * squares - total**2) / ((covered - 1) * total)
        found = np.where(covered >= _BINS_MIN, _shape_of_dispersion(index, rate * scale), np.nan)
        shape = np.where(np.isnan(shape), found, shape)
    return shape


def _shape_of_dispersion(index: Floats, events: Floats) -> Floats:
    """As ``streams.stats.dispersion.shape_of_dispersion``, of arrays; NaN for None."""
    with np.errstate(all="ignore"):
        c = 1 / (6 * events)
        root = 1 - 4 * c * (index - c)
        known = (events >= _EVENTS_PER_BIN_MIN) & (index > c) & (root >= 0)
        result: Floats = np.where(known, (1 + np.sqrt(np.maximum(root, 0))) / (2 * (index - c)), np.nan)
    return result


def _fine_shapes(
    windows: GapWindows, gaps: Int64s, fit: Fit, enough: NDArray[np.bool_]
) -> tuple[Floats, NDArray[np.object_]]:
    """Choose as ``interarrival.describe``: likelihood corrected for bias, Ye and Chen with few ties, else moments."""
    a, n = fit.parameters[0], windows.gaps
    with np.errstate(all="ignore"):
        p1, p2 = trigamma(a), tetragamma(a)
        shape = a - (a * (p1 - a * p2) - 2) / (2 * n * (a * p1 - 1) ** 2)
        moments = 1 / windows.squared_cv()
    method = np.full(len(a), None, object)
    method[~np.isnan(shape)] = MLE
    many = enough & (windows.zeros > ZEROS_MAX * n) & (moments < SHAPE_MAX)
    shape[many], method[many] = moments[many], MOMENT
    for i in np.flatnonzero(enough & (windows.zeros > 0) & ~many):
        stamps = windows.n[i] - windows.zeros[i]
        x = gaps[windows.first[i] + 1 : windows.first[i] + stamps] / SECOND_US
        logs = np.log(x)
        found = ye_chen(int(n[i]), float(x.sum()), float(logs.sum()), float(x @ logs), int(windows.zeros[i]))
        shape[i], method[i] = (np.nan, None) if found is None else (found, YE_CHEN)
    return shape, method


def _columns(
    arrivals: Arrivals,
    windows: GapWindows,
    fits: dict[str, Fit],
    shapes: tuple[Floats, NDArray[np.object_]],
    window_s: int,
) -> Columns:
    """Return the windows' table."""
    shape, method = shapes
    enough = windows.gaps >= GAPS_MIN
    start_s: Floats = (windows.index * float(window_s)).astype(np.float64)
    covered_s, rate = window_rates(start_s, windows.n, window_s, (arrivals.first_s, arrivals.last_s))
    c2 = np.where(enough, windows.squared_cv(), np.nan)
    with np.errstate(all="ignore"):
        gap_rate = windows.gaps / (windows.total * arrivals.unit_us / SECOND_US)
        fair = (method == MLE) | (method == YE_CHEN) | ((method == TRIANGULAR) & (gap_rate <= _MISFIT_RATE_MAX))
        misfit = np.where(fair, -np.log(c2 * shape), np.nan)
    columns: Columns = {
        "start_s": start_s,
        "covered_s": covered_s,
        "n": windows.n,
        "gaps": windows.gaps,
        "rate_per_s": rate,
        "cv": np.sqrt(c2),
        "alpha": shape,
        "beta": shape * rate,
        "method": method,
        "misfit": np.where(np.isfinite(misfit), misfit, np.nan),
    }
    for name, fit in fits.items():
        columns[f"{name}_log_likelihood"] = fit.log_likelihood
        columns[f"{name}_aic"] = 2 * len(PARAMETERS[name]) - 2 * fit.log_likelihood
        columns[f"{name}_ks"] = fit.ks
        for parameter, values in zip(PARAMETERS[name], fit.parameters, strict=True):
            columns[f"{name}_{parameter}"] = values
    return columns


def _verdicts(columns: Columns, gaps: Int64s) -> dict[str, Any]:
    """Say which family fits best, where all four could be fitted; adds the column ``best``."""
    aic = np.stack([columns[f"{name}_aic"] for name in FAMILIES])
    fitted = ~np.isnan(aic).any(axis=0)
    best = np.full(aic.shape[1], None, object)
    winner = np.argmin(aic[:, fitted], axis=0)
    best[fitted] = np.array(FAMILIES, object)[winner]
    columns["best"] = best
    n = int(fitted.sum())
    if not n:
        return {"fitted": 0, "wins": {}, "ks_mean": {}, "ks_passed": {}, "aic_over_best": {}}
    over = (aic[:, fitted] - aic[:, fitted].min(axis=0)).mean(axis=1)
    ks = np.stack([columns[f"{name}_ks"][fitted] for name in FAMILIES])
    passed = (ks * np.sqrt(gaps[fitted]) < _KS_5_PERCENT).mean(axis=1)

    def named(values: Floats) -> dict[str, float]:
        return dict(zip(FAMILIES, values.tolist(), strict=True))

    wins = np.bincount(winner, minlength=len(FAMILIES)) / n
    return {
        "fitted": n,
        "wins": named(wins),
        "ks_mean": named(ks.mean(axis=1)),
        "ks_passed": named(passed),
        "aic_over_best": named(over),
    }


def _ratio_above_one(cv: Floats) -> float | None:
    known = cv[np.isfinite(cv)]
    return float(np.mean(known > 1)) if len(known) else None
