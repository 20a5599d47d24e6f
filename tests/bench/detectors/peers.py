"""Peers of the burst detectors: score paths over arrivals per second, for several streams at once.

Each gets ``counts`` (streams x seconds) and the plain baseline's ``mean`` per second and ``phi``, known before each
second, and returns scores of the same shape: an alarm is a score at or above the peer's threshold. Written down from
the papers, vectorised over streams. The baseline learns from bursts too (ours masks them): that is part of what is
compared.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log

import numpy as np
from scipy.special import gammaln

BLOCK_S = 10
ADWIN_EVERY_S = 8
ADWIN_WINDOW_S = 1024


def baseline(counts, memory_s: float = 900, dispersion_memory_s: float = 3600):
    """Mean per second and dispersion as known before each second: the same rules as ours, without bursts masked."""
    streams, seconds = counts.shape
    blocks = counts[:, : seconds // BLOCK_S * BLOCK_S].reshape(streams, -1, BLOCK_S).sum(axis=2)
    mean, phi = np.empty(blocks.shape), np.ones(blocks.shape)
    m, p = np.maximum(blocks[:, 0], 0.5).astype(float), np.ones(streams)
    gain, slow = 1 - exp(-BLOCK_S / memory_s), 1 - exp(-BLOCK_S / dispersion_memory_s)
    for k in range(blocks.shape[1]):
        mean[:, k], phi[:, k] = m, p
        x, weight, floor = blocks[:, k].astype(float), 1 / (k + 2), np.maximum(m, 0.3)
        if k > 6:
            x = np.minimum(x, m + 3 * np.sqrt(p * floor) + 1)
            p = np.maximum(1, p + max(slow, weight) * ((x - m) ** 2 / floor - p))
        m = m + max(gain, weight) * (x - m)
    spread = lambda a: np.repeat(a, BLOCK_S, axis=1)  # noqa: E731 - one line, used twice
    return np.maximum(spread(mean), 1e-3) / BLOCK_S, spread(phi)


def cusum(counts, mean, phi, rho: float = 3.0):
    """Page 1954: the log likelihood ratio of rate rho x mean, summed, never below 0."""
    steps = (counts * log(rho) - mean * (rho - 1)) / phi
    sums, found = np.zeros(len(counts)), np.empty(counts.shape)
    for i in range(counts.shape[1]):
        sums = np.maximum(0.0, sums + steps[:, i])
        found[:, i] = sums
    return found


def page_hinkley(counts, mean, phi, slack: float = 0.5):
    """Page-Hinkley on standardised residuals: the sum above its running minimum."""
    steps = (counts - mean) / np.sqrt(phi * np.maximum(mean, 0.02)) - slack
    total, lowest, found = np.zeros(len(counts)), np.zeros(len(counts)), np.empty(counts.shape)
    for i in range(counts.shape[1]):
        total = total + steps[:, i]
        lowest = np.minimum(lowest, total)
        found[:, i] = total - lowest
    return found


def bocpd(counts, mean, phi, *, hazard: float = 1 / 600, runs: int = 60, rho: float = 1.5):
    """Adams and MacKay 2007, Gamma-Poisson, likelihood tempered by phi: logit of P(recent run, rate > rho x mean)."""
    streams, seconds = counts.shape
    p = np.zeros((streams, runs + 1))
    p[:, 0] = 1.0
    a, b = np.ones((streams, runs + 1)), np.ones((streams, runs + 1))
    b[:] = 1 / mean[:, :1]
    found = np.empty(counts.shape)
    for i in range(seconds):
        x, mu = counts[:, i, None], mean[:, i, None]
        fit = gammaln(a + x) - gammaln(a) + a * np.log(b / (b + 1)) - x * np.log(b + 1)
        q = p * np.exp((fit - fit.max(axis=1, keepdims=True)) / phi[:, i, None])
        q /= q.sum(axis=1, keepdims=True)
        old = q[:, -1].copy()
        p[:, 1:] = q[:, :-1] * (1 - hazard)
        p[:, -1] += old * (1 - hazard)
        p[:, 0] = hazard
        a[:, 1:], b[:, 1:] = (a + x)[:, :-1], (b + 1)[:, :-1]
        a[:, 0], b[:, 0] = 1.0, (1 / mu)[:, 0]
        raised = (p * (a > rho * mu * b))[:, 1:-1].sum(axis=1)
        s = np.clip(raised, 1e-12, 1 - 1e-12)
        found[:, i] = np.log(s / (1 - s))
    return found


def adwin(counts, mean, phi):
    """Bifet and Gavalda 2007, the exact window test at power-of-two cuts, tried every 8 s.

    Score: the greatest (new mean - old mean) / epsilon_cut at delta 0.002; at 1 and above the old part is dropped.
    """
    streams, seconds = counts.shape
    total = np.concatenate([np.zeros((streams, 1)), np.cumsum(counts, axis=1)], axis=1)
    square = np.concatenate([np.zeros((streams, 1)), np.cumsum(counts.astype(float) ** 2, axis=1)], axis=1)
    start, row, found = np.zeros(streams, int), np.arange(streams), np.zeros(counts.shape)
    for i in range(ADWIN_EVERY_S, seconds, ADWIN_EVERY_S):
        start = np.maximum(start, i - ADWIN_WINDOW_S)
        n = i - start
        spread = np.maximum((square[:, i] - square[row, start]) / n - ((total[:, i] - total[row, start]) / n) ** 2, 0)
        confidence = np.log(2 * np.log(np.maximum(n, 3)) / 0.002)
        best, cut_at = np.zeros(streams), start.copy()
        for width in (8, 16, 32, 64, 128, 256):
            usable = n >= 2 * width
            cut = np.where(usable, i - width, start)
            older = np.maximum(cut - start, 1)
            rise = (total[:, i] - total[row, cut]) / width - (total[row, cut] - total[row, start]) / older
            harmonic = 1 / (1 / width + 1 / older)
            epsilon = np.sqrt(2 / harmonic * spread * confidence) + 2 / (3 * harmonic) * confidence
            score = np.where(usable, rise / np.maximum(epsilon, 1e-9), 0)
            changed = np.where(usable, np.abs(rise) / np.maximum(epsilon, 1e-9), 0) >= 1
            best = np.maximum(best, score)
            cut_at = np.where(changed, np.maximum(cut_at, cut), cut_at)
        found[:, i] = best
        start = cut_at
    return found


def ratio(counts, mean, phi):
    """rate(10s) / rate(20m) where at least ten came in 10 s: the obvious PromQL rule."""
    total = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
    seconds = np.arange(1, counts.shape[1] + 1)
    short = total[:, seconds] - total[:, np.maximum(seconds - 10, 0)]
    long = total[:, seconds] - total[:, np.maximum(seconds - 1200, 0)]
    rate = long / np.minimum(seconds, 1200)
    return np.where(short >= 10, short / 10 / np.maximum(rate, 1e-9), 0)


@dataclass(frozen=True)
class Peer:
    """A score path, its threshold (textbook or the one measured to be usable), and whether it knows the dispersion."""

    score: Callable
    threshold: float
    dispersed: bool = True


PEERS = {
    "CUSUM x3, phi": Peer(cusum, 9.5),
    "CUSUM x3, plain Poisson": Peer(cusum, log(86_400), dispersed=False),
    "BOCPD Gamma-Poisson, phi": Peer(bocpd, 4.6),
    "BOCPD Gamma-Poisson, plain": Peer(bocpd, 4.6, dispersed=False),
    "Page-Hinkley, residuals": Peer(page_hinkley, 25.0),
    "ADWIN 0.002, up only": Peer(adwin, 1.0),
    "ratio 10 s > 3 x 20 min": Peer(ratio, 3.0),
}
