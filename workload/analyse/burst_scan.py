"""The live burst detector over a whole trace: in quiet stretches only its expectation is followed. Pure.

Where nothing sounds, all the detector does is to compare six windows with six limits every second. Here some hours'
expectations are worked out first (quiet_rate.py) and all of its windows are compared at once. The detector itself
takes over where something would sound, until that burst is over, and wherever it warms up.
"""

from functools import partial
from math import sqrt
from operator import ge
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.processors.bursts import SILENCE_S
from streams.processors.outputs import Episode
from streams.processors.scan_windows import LONGEST_S, SPANS_S
from streams.processors.scanz import ScanZ
from streams.processors.settings import AnalysisSettings
from workload.analyse.arrivals import Arrivals
from workload.analyse.quiet_rate import BIN_S, BLOCK_S, BLOCKS, LEAD_S, QuietRate

_CHUNK = 1 << 12
_SPANS = np.array(SPANS_S)[:, None]
_SHARES = _SPANS / BLOCK_S
_OFF = 1e-9  # near the threshold the detector itself decides
_EXPECTED_MIN = 1e-3  # as ``streams.processors.scan_windows``
_RECENT_S = 63


def episodes(arrivals: Arrivals, settings: AnalysisSettings) -> list[Episode]:
    """Return the bursts in order: each as it ended, the last as it began if it is not over."""
    if not arrivals.n:
        return []
    found = _Scan(arrivals, settings).run()
    ended = [episode for episode in found if episode.state == "end"]
    return ended + [episode for episode in found[-1:] if episode.state == "onset"]


class _Scan:
    def __init__(self, arrivals: Arrivals, settings: AnalysisSettings) -> None:
        self._first = first = int(arrivals.first_s) // BLOCK_S * BLOCK_S
        self._base = first - LONGEST_S - BLOCK_S  # windows may look back before the first request
        self._until = int(arrivals.last_s) + 1
        self._counts = counts = arrivals.per_second(self._base, self._until + BLOCK_S)
        self._upto: NDArray[Any] = np.zeros(len(counts) + 1, np.int32 if arrivals.n < 2**31 else np.int64)
        np.cumsum(counts, out=self._upto[1:])
        self._busy = np.flatnonzero(counts) + self._base  # seconds with requests
        self._settings = settings
        self._detector = ScanZ("", settings)
        self._found: list[Episode] = []
        self._next = first
        self._reach_from = first  # no window reaches back before: where the last burst ended
        self._blocks = (self._until - first) // BLOCK_S
        low = LONGEST_S + BLOCK_S
        self._arrivals: list[int] = np.diff(self._upto[low : low + self._blocks * BLOCK_S + 1 : BLOCK_S]).tolist()
        self._silent = self._silences()
        self._most = self._greatest()

    def _silences(self) -> NDArray[np.bool_]:
        """Return the blocks at whose end nothing has come for so long that the level is not known any more."""
        ends = self._first + np.arange(1, self._blocks + 1) * BLOCK_S
        newest = self._busy[np.searchsorted(self._busy, ends) - 1]
        silent: NDArray[np.bool_] = ends - 1 - newest >= SILENCE_S
        return silent

    def _greatest(self) -> NDArray[Any]:
        """Return the most requests in the windows that end in a block: (spans, blocks)."""
        most = np.zeros((len(SPANS_S), self._blocks), self._upto.dtype)
        for start in range(0, self._blocks, _CHUNK):  # what is worked with stays in the processor's cache
            blocks = min(_CHUNK, self._blocks - start)
            low = LONGEST_S + (start + 1) * BLOCK_S + 1
            upto = self._upto[low - LONGEST_S : low + blocks * BLOCK_S]
            for span, row in zip(SPANS_S, most[:, start : start + blocks], strict=True):
                inside = upto[LONGEST_S:] - upto[LONGEST_S - span : -span]
                for second in range(BLOCK_S):
                    np.maximum(row, inside[second::BLOCK_S], out=row)
        return most

    def run(self) -> list[Episode]:
        """Return all that the detector told."""
        while self._next < self._until:
            facts = self._ready()
            if facts is not None:
                self._quiet(facts)
            if self._next < self._until:
                self._live()
        return self._found

    def _live(self) -> None:
        """Feed the detector itself; silences as they are live, at once."""
        at = self._next
        if not self._between(at - LONGEST_S, at + BLOCK_S):
            later = int(np.searchsorted(self._busy, at))
            busy = int(self._busy[later]) if later < len(self._busy) else self._until
            self._next = max(busy // BLOCK_S * BLOCK_S, at + BLOCK_S)
            self._found += self._detector.feed(self._next, ())
            return
        end = min(at + BLOCK_S, self._until)
        self._found += self._detector.feed(at, self._counts[at - self._base : end - self._base].tolist())
        self._next = at + BLOCK_S

    def _between(self, start: int, end: int) -> int:
        low, high = (min(max(s - self._base, 0), len(self._upto) - 1) for s in (start, end))
        return int(self._upto[high] - self._upto[low])

    def _ready(self) -> dict[str, Any] | None:
        """Return the detector's state if nothing but the expectation matters now; else None."""
        at = self._next
        if self._detector.active or at + BLOCK_S > self._until:
            return None
        facts = self._detector.dump()
        first, rate = facts["first"], facts["rate"]
        calm = first is not None and facts["burst"] is None and not rate["pending"]
        if not calm or rate["expected"] is None or rate["profile"]["end"] != at:
            return None
        return facts if at - first >= self._settings.burst_warmup_s else None

    def _quiet(self, facts: dict[str, Any]) -> None:
        """Follow quiet blocks from now; hand over to the detector where something sounds or falls silent."""
        rate = QuietRate(facts["rate"], self._settings.burst_profile_days)
        self._reach_from = facts["windows"]["start"]
        block = begun = (self._next - self._first) // BLOCK_S
        while block < self._blocks and not self._sounds(block, rate.expected, rate.dispersion):
            start = self._first + block * BLOCK_S
            end = min(block + BLOCKS - (start - LEAD_S) % BIN_S // BLOCK_S, self._blocks)
            taken = len(rate.learn(start, self._arrivals[block:end], partial(self._passing, block))[0])
            block += taken
            if block < end:
                break
        if block > begun:
            self._next = self._first + block * BLOCK_S
            self._detector.load(self._facts_now(facts | {"rate": rate.dump()}))

    def _sounds(self, block: int, expected: float, dispersion: float) -> bool:
        """True if a window reaches the threshold in a block, or all is forgotten after it."""
        limits = self._limits(expected, dispersion)
        return bool(self._silent[block]) or any(map(ge, self._within(block, 1)[:, 0].tolist(), limits))

    def _passing(self, block: int, expected: list[float], dispersion: list[float]) -> int:
        """Return how many blocks pass from ``block`` on before one sounds."""
        n = len(expected)
        most, silent = self._within(block, n), self._silent[block : block + n]
        limits = self._limits(min(expected), min(dispersion))
        if not any(map(ge, most.max(axis=1).tolist(), limits)) and not silent.any():
            return n
        m = np.maximum(expected, _EXPECTED_MIN) * _SHARES
        wide = np.sqrt(dispersion + self._settings.burst_tolerance**2 * m)
        root = np.sqrt(m + 0.375) + self._settings.burst_threshold / 2 * wide
        sounds = (most >= root * root - 0.375 - _OFF).any(axis=0) | silent
        return int(np.argmax(sounds)) if sounds.any() else n

    def _limits(self, expected: float, dispersion: float) -> list[float]:
        """Return the requests with which each window reaches the threshold, as ``streams.stats.anscombe``."""
        half, tolerance2 = self._settings.burst_threshold / 2, self._settings.burst_tolerance**2
        per_s = max(expected, _EXPECTED_MIN) / BLOCK_S
        return [
            (sqrt(per_s * span + 0.375) + half * sqrt(dispersion + tolerance2 * per_s * span)) ** 2 - 0.375 - _OFF
            for span in SPANS_S
        ]

    def _within(self, block: int, n: int) -> NDArray[Any]:
        """Return the most requests in each window that is used in these blocks: (spans, n)."""
        most = self._most[:, block : block + n]
        reach = self._first + block * BLOCK_S + 1 - self._reach_from
        if reach >= LONGEST_S:
            return most
        used: NDArray[Any] = most * (reach + BLOCK_S * np.arange(n) >= _SPANS)
        return used

    def _facts_now(self, facts: dict[str, Any]) -> dict[str, Any]:
        at, rate = self._next, facts["rate"]
        low = at - self._base
        recent = np.concatenate([np.zeros(_RECENT_S, np.int32), self._counts[max(low - _RECENT_S, 0) : low]])
        windows = {
            "recent": recent[-_RECENT_S:].tolist(),
            "newest": at - 1,
            "start": facts["windows"]["start"],
            "reach": min(at + 1 - self._reach_from, LONGEST_S),
            "expected": max(rate["expected"], _EXPECTED_MIN),
            "dispersion": rate["level"]["dispersion"],
        }
        newest = int(self._busy[np.searchsorted(self._busy, at) - 1])
        return facts | {"next": at, "newest": newest, "windows": windows}
