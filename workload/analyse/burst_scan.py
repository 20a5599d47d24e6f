"""The live burst detector over a whole trace: in quiet stretches only its expectation is followed. Pure.

Where nothing sounds, all the detector does is to compare six windows with six limits every second. Here some hours'
expectations are worked out first (quiet_rate.py) and all of its windows are compared at once. The detector itself
takes over where something would sound, until that burst is over, and wherever it warms up.
"""

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

Ints = NDArray[np.int64]

_BLOCKS_MAX = 24 * BLOCKS  # followed at once; fewer soon after a burst, since what follows the next is done again
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
        first = int(arrivals.first_s) // BLOCK_S * BLOCK_S
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

    def run(self) -> list[Episode]:
        """Return all that the detector told."""
        while self._next < self._until:
            facts = self._ready()
            if facts is None or not self._quiet(facts):
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
        long_ago = at - first >= self._settings.burst_warmup_s and at - facts["windows"]["start"] >= LONGEST_S
        return facts if long_ago else None

    def _quiet(self, facts: dict[str, Any]) -> int:
        """Follow quiet blocks from now; hand over to the detector after them. Returns how many there were."""
        passed = 0
        rate = QuietRate(facts["rate"], self._settings.burst_profile_days)
        while True:
            blocks = min(passed // 2 + BLOCKS, _BLOCKS_MAX, (self._until - self._next) // BLOCK_S)
            quiet, rate = self._follow(rate, blocks)
            self._next += quiet * BLOCK_S
            passed += quiet
            if quiet < blocks or not blocks:
                break
        if passed:
            self._detector.load(self._facts_now(facts | {"rate": rate.dump()}))
        return passed

    def _follow(self, rate: QuietRate, blocks: int) -> tuple[int, QuietRate]:
        """Let ``rate`` learn; return how many blocks pass before something would sound or fall silent, and it then."""
        low = self._next - self._base
        arrivals = np.diff(self._upto[low : low + blocks * BLOCK_S + 1 : BLOCK_S]).tolist()
        means, spreads, done = [rate.expected], [rate.dispersion], 0
        before: list[tuple[int, dict[str, Any]]] = []  # the state ahead of each group
        while done < blocks:
            start = self._next + done * BLOCK_S
            end = min(done + BLOCKS - (start - LEAD_S) % BIN_S // BLOCK_S, blocks)
            before.append((done, rate.dump()))
            found = rate.learn(start, arrivals[done:end])
            means += found[0]
            spreads += found[1]
            done = end
        sounds = self._sounds(np.maximum(means[:-1], _EXPECTED_MIN), np.array(spreads[:-1]))
        if not sounds.any():
            return blocks, rate
        first = int(np.argmax(sounds))
        start, facts = next(state for state in reversed(before) if state[0] <= first)
        rate = QuietRate(facts, self._settings.burst_profile_days)
        if start < first:
            rate.learn(self._next + start * BLOCK_S, arrivals[start:first])
        return first, rate

    def _sounds(self, expected: NDArray[np.float64], dispersion: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return the blocks from now on in which a window reaches the threshold, or after which all is forgotten."""
        low, seconds = self._next - self._base, len(expected) * BLOCK_S
        sounds = self._silent(len(expected))
        for span in SPANS_S:
            upto: Ints = self._upto[low + 1 - span : low + seconds + 1]
            most = (upto[span:] - upto[:-span]).reshape(-1, BLOCK_S).max(axis=1)
            m = expected * (span / BLOCK_S)
            wide = np.sqrt(dispersion + self._settings.burst_tolerance**2 * m)
            root = np.sqrt(m + 0.375) + self._settings.burst_threshold / 2 * wide
            sounds |= most >= root * root - 0.375 - 1e-9
        return sounds

    def _silent(self, blocks: int) -> NDArray[np.bool_]:
        """Return the blocks at whose end nothing has come for so long that the level is not known any more."""
        ends = self._next + np.arange(1, blocks + 1) * BLOCK_S
        newest = self._busy[np.searchsorted(self._busy, ends) - 1]
        silent: NDArray[np.bool_] = ends - 1 - newest >= SILENCE_S
        return silent

    def _facts_now(self, facts: dict[str, Any]) -> dict[str, Any]:
        at, rate = self._next, facts["rate"]
        low = at - self._base
        recent = np.concatenate([np.zeros(_RECENT_S, np.int32), self._counts[max(low - _RECENT_S, 0) : low]])
        windows = {
            "recent": recent[-_RECENT_S:].tolist(),
            "newest": at - 1,
            "start": facts["windows"]["start"],
            "reach": LONGEST_S,
            "expected": max(rate["expected"], _EXPECTED_MIN),
            "dispersion": rate["level"]["dispersion"],
        }
        newest = int(self._busy[np.searchsorted(self._busy, at) - 1])
        return facts | {"next": at, "newest": newest, "windows": windows}
