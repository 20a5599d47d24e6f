"""The live burst detector over a whole trace: in quiet stretches only its expectation is followed. Pure.

Where nothing sounds, all the detector does is to compare six windows with six limits every second. Here an hour's
expectations are worked out first (quiet_rate.py) and all of its windows are compared at once. The detector itself
takes over for the five minutes in which something would sound, until that burst is over, and wherever it warms up.
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

_GROUPS = 24  # followed at once: two hours, but fewer soon after a burst, since what follows the next is done again
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
            if facts is None:
                self._live()
            elif not self._quiet(facts):
                self._live(BIN_S)
        return self._found

    def _live(self, seconds: int = BLOCK_S) -> None:
        """Feed the detector itself; silences as they are live, at once."""
        at = self._next
        if not self._between(at - LONGEST_S, at + seconds):
            later = int(np.searchsorted(self._busy, at))
            busy = int(self._busy[later]) if later < len(self._busy) else self._until
            self._next = max(busy // BLOCK_S * BLOCK_S, at + BLOCK_S)
            self._found += self._detector.feed(self._next, ())
            return
        end = min(at + seconds, self._until)
        self._found += self._detector.feed(at, self._counts[at - self._base : end - self._base].tolist())
        self._next = at + seconds

    def _between(self, start: int, end: int) -> int:
        low, high = (min(max(s - self._base, 0), len(self._upto) - 1) for s in (start, end))
        return int(self._upto[high] - self._upto[low])

    def _ready(self) -> dict[str, Any] | None:
        """Return the detector's state if a group begins now and nothing but the expectation matters; else None."""
        at = self._next
        if at % BIN_S != LEAD_S or self._detector.active or at + BIN_S > self._until:
            return None
        facts = self._detector.dump()
        first, rate = facts["first"], facts["rate"]
        calm = first is not None and facts["burst"] is None and not rate["pending"]
        if not calm or rate["expected"] is None or rate["profile"]["end"] != at:
            return None
        long_ago = at - first >= self._settings.burst_warmup_s and at - facts["windows"]["start"] >= LONGEST_S
        return facts if long_ago else None

    def _quiet(self, facts: dict[str, Any]) -> int:
        """Follow quiet groups from now; hand over to the detector after them. Returns how many there were."""
        passed = 0
        while True:
            groups = min(passed + 1, _GROUPS, (self._until - self._next) // BIN_S)
            if not groups:
                break
            rate = QuietRate(facts["rate"], self._settings.burst_profile_days)
            quiet = self._follow(rate, groups)
            if quiet < groups:
                rate = QuietRate(facts["rate"], self._settings.burst_profile_days)
                self._learn(rate, quiet)
            self._next += quiet * BIN_S
            passed += quiet
            facts = facts | {"rate": rate.dump()}
            if quiet < groups:
                break
        if passed:
            self._detector.load(self._facts_now(facts))
        return passed

    def _learn(self, rate: QuietRate, groups: int) -> tuple[list[float], list[float]]:
        low = self._next - self._base
        edges = self._upto[low : low + groups * BIN_S + 1 : BLOCK_S]
        arrivals = np.diff(edges).tolist()
        means, spreads = [rate.expected], [rate.dispersion]
        for i in range(groups):
            found = rate.learn(self._next + i * BIN_S, arrivals[i * BLOCKS : (i + 1) * BLOCKS])
            means += found[0]
            spreads += found[1]
        return means, spreads

    def _follow(self, rate: QuietRate, groups: int) -> int:
        """Let ``rate`` learn the groups; return how many pass before something would sound, or fall silent."""
        means, spreads = self._learn(rate, groups)
        expected, dispersion = np.maximum(means[:-1], _EXPECTED_MIN), np.array(spreads[:-1])
        low, seconds = self._next - self._base, groups * BIN_S
        sounds = self._silent(groups)
        for span in SPANS_S:
            upto: Ints = self._upto[low + 1 - span : low + seconds + 1]
            most = (upto[span:] - upto[:-span]).reshape(-1, BLOCK_S).max(axis=1)
            m = expected * (span / BLOCK_S)
            root = np.sqrt(m + 0.375) + self._settings.burst_threshold / 2 * np.sqrt(
                dispersion + self._settings.burst_tolerance**2 * m
            )
            sounds |= most >= root * root - 0.375 - 1e-9
        return int(np.argmax(sounds)) // BLOCKS if sounds.any() else groups

    def _silent(self, groups: int) -> NDArray[np.bool_]:
        """Return the blocks at whose end nothing has come for so long that the level is not known any more."""
        ends = self._next + np.arange(1, groups * BLOCKS + 1) * BLOCK_S
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
