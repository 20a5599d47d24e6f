"""What detectors are judged on: ordinary days that must stay quiet, and bursts put where they are known."""

import json
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from tests.support.shared_data import SHARED
from tests.support.traffic import KINDS, simulate

DAY = 86_400
RATES = (0.1, 0.5, 5.0, 50.0)
WARM_S = 1800
SPACING_S = 600
DURATIONS_S = (5, 15, 30, 60)
FACTORS = (2, 4, 8)


@dataclass(frozen=True)
class Trial:
    """Streams of one length (streams x seconds), and the bursts put into them: (stream, start, duration, factor)."""

    names: tuple[str, ...]
    counts: np.ndarray
    bursts: tuple[tuple[int, int, int, int], ...] = ()


def quiet(days: float) -> Trial:
    """Ordinary traffic: every kind at every rate."""
    names = tuple(f"{kind} {rate:g}/s" for kind in KINDS for rate in RATES)
    counts = [
        simulate(kind, rate, int(days * DAY), [1, place, int(rate * 10)])
        for place, kind in enumerate(KINDS)
        for rate in RATES
    ]
    return Trial(names, np.array(counts))


def busy() -> Trial:
    """Twelve sorts of burst, twice each, ten minutes apart, in three backgrounds at 0.5, 5 and 50/s."""
    sorts = [(duration, factor) for factor in FACTORS for duration in DURATIONS_S]
    starts = [WARM_S + SPACING_S * (i + 1) for i in range(2 * len(sorts))]
    names, counts, bursts = [], [], []
    for place, kind in enumerate(("poisson", "gamma0.5", "mixed")):
        for rate in RATES[1:]:
            order = np.random.default_rng([2, place, int(rate * 10)]).permutation(2 * len(sorts)) % len(sorts)
            put = {start: sorts[i] for start, i in zip(starts, order, strict=True)}
            bursts += [(len(names), start, duration, factor) for start, (duration, factor) in put.items()]
            names.append(f"{kind} {rate:g}/s")
            counts.append(simulate(kind, rate, starts[-1] + SPACING_S, [3, place, int(rate * 10)], put))
    return Trial(tuple(names), np.array(counts), tuple(bursts))


def azure_seconds() -> np.ndarray:
    """Seconds since the trace's first request, of every request of the Azure code trace; empty where it is absent."""
    path = SHARED / "data/azure/AzureLLMInferenceTrace_code.csv"
    if not path.exists():
        return np.zeros(0, int)
    stamps = [line.split(",")[0][:26] for line in path.read_text().splitlines()[1:] if line]
    times = np.array([datetime.fromisoformat(stamp).timestamp() for stamp in stamps])
    return np.sort(times - times.min()).astype(int)


def ragpulse_seconds() -> np.ndarray:
    """The same of the RAGPulse trace."""
    path = SHARED / "data/ragpulse/0_trace.jsonl"
    if not path.exists():
        return np.zeros(0, int)
    times = np.array([int(float(json.loads(line)["timestamp"])) for line in path.read_text().splitlines() if line])
    return np.sort(times - times.min())


def real(name: str, seconds: np.ndarray, seed: int) -> tuple[Trial, Trial]:
    """The trace as it is (two days at most), and with extra requests: for 30 s x4 or x8 its mean, 10 minutes apart."""
    counts = np.bincount(seconds)[: 2 * DAY]
    rng = np.random.default_rng(seed)
    mean = max(counts.mean(), 0.2)  # of a slow trace a multiple would be a request or two
    extra, bursts = counts.copy(), []
    for i, start in enumerate(range(WARM_S, min(len(counts), 6 * 3600) - SPACING_S // 2, SPACING_S)):
        factor = (4, 8)[i % 2]
        extra[start : start + 30] += rng.poisson((factor - 1) * mean, 30)
        bursts.append((0, start, 30, factor))
    return Trial((name,), counts[None, :]), Trial((name,), extra[None, :], tuple(bursts))
