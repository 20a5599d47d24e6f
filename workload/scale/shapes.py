"""Rate and burstiness of arrivals window by window: the paper's alpha(t) and beta(t), measured for scaling. Pure."""

import numpy as np
from numpy.typing import NDArray

from workload.analyse.interarrival import describe
from workload.scale.renewal import RateCurve

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GAPS_MIN = 30  # fewer say too little of a window's own CV; they have the whole trace's in operational time
_ALPHA = (1e-3, 1e3)


def windows_of(starts_us: Ints, length_s: float, window_s: float) -> tuple[Floats, Ints]:
    """Return edges (s) of windows from 0 to ``length_s`` and each time's window; a short rest joins the last one."""
    edges = np.append(np.arange(0.0, length_s, window_s), length_s)
    if len(edges) > 2 and edges[-1] - edges[-2] < window_s / 2:
        edges = np.delete(edges, -2)
    return edges, window_at(edges, starts_us)


def window_at(edges: Floats, times_us: Ints) -> Ints:
    """Return the window that each time lies in."""
    return np.clip(np.searchsorted(edges * 1e6, times_us, side="right") - 1, 0, len(edges) - 2)


def curve_of(starts_us: Ints, length_s: float, window_s: float, resolution_us: int = 1) -> RateCurve:
    """Return rate and alpha of ascending times by windows of ``window_s``.

    alpha is 1/CV^2 of the window's gaps, that of the whole trace in operational time where they are too few. Of times
    cut to whole seconds it is what the likelihood of the cut gaps gives.
    """
    edges, window = windows_of(starts_us, length_s, window_s)
    counts = np.bincount(window, minlength=len(edges) - 1)
    if resolution_us > 1:
        alpha = _alpha_of_cut_times(starts_us, counts, resolution_us)
    else:
        alpha = _alpha_of_fine_times(starts_us, window, counts, edges)
    return RateCurve(edges_s=edges, rate_per_s=counts / np.diff(edges), alpha=np.clip(alpha, *_ALPHA))


def _alpha_of_fine_times(starts_us: Ints, window: Ints, counts: Ints, edges: Floats) -> Floats:
    starts = starts_us / 1e6
    expected = np.interp(starts, edges, np.concatenate(([0.0], np.cumsum(counts))))
    pooled = _moments(np.diff(expected), np.zeros(max(len(starts) - 1, 0), np.int64), 1)
    same = window[1:] == window[:-1]
    own = _moments(np.diff(starts)[same], window[1:][same], len(counts))
    return np.where(counts > _GAPS_MIN, own, pooled)


def _moments(gaps: Floats, window: Ints, windows: int) -> Floats:
    """Return 1/CV^2 by window, corrected for finite size as ``streams.stats.cv``; 1 where nothing can be said."""
    n = np.bincount(window, minlength=windows).astype(np.float64)
    total, squares = np.bincount(window, gaps, windows), np.bincount(window, gaps * gaps, windows)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = n * squares / total**2 - 1
        alpha = ((n - 1) / ratio - 1) / n
    return np.where(np.isfinite(alpha), alpha, 1.0)


def _alpha_of_cut_times(starts_us: Ints, counts: Ints, resolution_us: int) -> Floats:
    ends = np.cumsum(counts)
    found = np.full(len(counts), np.nan)
    for i in np.flatnonzero(counts > _GAPS_MIN):
        alpha = describe(starts_us[ends[i] - counts[i] : ends[i]], resolution_us).alpha
        found[i] = np.nan if alpha is None else alpha
    whole = describe(starts_us, resolution_us).alpha or 1.0
    usual = float(np.nanmedian(found)) if np.isfinite(found).any() else whole
    return np.where(np.isfinite(found), found, usual)
