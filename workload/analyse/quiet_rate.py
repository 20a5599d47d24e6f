"""What the live burst detector expects through traffic without bursts: its rules, five minutes at a time. Pure.

The same numbers as ``streams.processors.expected_rate`` with ``level`` and ``daily_profile`` (which say what the rules
mean), without an object and a call a block, in a fraction of the time: 110 days have a million blocks. Tests hold the
two together. A group is the last 10-s block of a five-minute bin and the first 29 of the next: within it the profile of
the day stays as it is.
"""

# ruff: noqa: FURB136 - min and max cost more than all the rest of the loop
from collections.abc import Callable
from math import exp, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rates = tuple[list[float], list[float]]  # expectation and dispersion, by block
Passing = Callable[[list[float], list[float]], int]

BLOCK_S, BIN_S = 10, 300
BLOCKS = BIN_S // BLOCK_S
LEAD_S = BIN_S - BLOCK_S  # where in a bin a group begins
_DAY_BINS = 86_400 // BIN_S
_GAIN_MEAN, _GAIN_DISPERSION = 1 - exp(-BLOCK_S / 900), 1 - exp(-BLOCK_S / 3600)
_BLOCKS_PLAIN = 6
_BLOCKS_WEIGHED = 400  # from here on 1/(blocks + 1) is below both gains
_FLOOR = 0.3
_PRIOR = 5 / 90
_UNIT, _MEMORY_DAYS, _PRIOR_ARRIVALS = 1000, 7, 5
_OPEN_S = 600
_REACH = 3  # bins around the group's own whose values matter


def _weights() -> tuple[Floats, NDArray[np.bool_]]:
    """Return how the usual and the ends of the highest of a group's blocks weigh the bins around; and the centres."""
    starts = np.arange(-1, BLOCKS - 1) * BLOCK_S  # of the blocks, from the second bin's beginning
    rows = []
    for seconds in (starts, starts + 1.5 * BLOCK_S - BIN_S, starts + 1.5 * BLOCK_S + BIN_S):
        place = seconds / BIN_S - 0.5
        low = np.floor(place).astype(int)
        row = np.zeros((BLOCKS, 2 * _REACH + 1))
        row[np.arange(BLOCKS), low + _REACH] = 1 - (place - low)
        row[np.arange(BLOCKS), low + 1 + _REACH] = place - low
        rows.append(row)
    middle = (starts + 1.5 * BLOCK_S) / BIN_S - 0.5
    centres = np.abs(np.arange(-_REACH, _REACH + 1) - middle[:, None]) <= 1
    return np.concatenate(rows), centres


_ALL, _CENTRES = _weights()


class QuietRate:
    """The state of an ``ExpectedRate`` outside bursts; ``dump`` gives it back."""

    def __init__(self, facts: dict[str, Any], days_min: int) -> None:
        self._days_min = days_min
        level, profile = facts["level"], facts["profile"]
        self.expected: float = facts["expected"]
        self._mean: float = level["mean"]
        self.dispersion: float = level["dispersion"]
        self._blocks: int = level["blocks"]
        self._usual: float | None = facts["usual"]
        self._levels = tuple(facts["levels"])
        self._bins = list(profile["bins"]) or [0] * _DAY_BINS
        self._sum = sum(self._bins)
        self._learned: int = profile["learned"]
        self._open = {number: list(entry) for number, entry in profile["open"].items()}
        self._end: int = profile["end"]

    def dump(self) -> dict[str, Any]:
        """Return the state as ``ExpectedRate.dump`` does."""
        return {
            "expected": self.expected,
            "level": {"mean": self._mean, "dispersion": self.dispersion, "blocks": self._blocks},
            "usual": self._usual,
            "levels": list(self._levels),
            "pending": [],
            "profile": {
                "bins": list(self._bins) if self._learned else [],
                "learned": self._learned,
                "open": {number: list(entry) for number, entry in self._open.items()},
                "end": self._end,
            },
        }

    def learn(self, second: int, arrivals: list[int], passing: Passing | None = None) -> Rates:
        """Take blocks from ``second`` on, all of one group; return expectation and dispersion after each.

        ``passing`` is given what was expected of each block and the dispersion then, and says how many of the blocks
        to take, one at least; None: all.
        """
        place = (second - LEAD_S) % BIN_S // BLOCK_S  # in the group
        number = (second - place * BLOCK_S) // BIN_S + 1
        if not place:
            self._add(number - 1, arrivals[0], 1)
            self._close((second + BLOCK_S - _OPEN_S) // BIN_S)
        usual, high = self._around(number, slice(place, place + len(arrivals)))
        before = self._mean, self.dispersion, self.expected, self._usual, self._blocks, self._levels
        found = self._follow(arrivals, usual, high, bin_ends=not place)
        if passing is not None:
            kept = passing([before[2], *found[0][:-1]], [before[1], *found[1][:-1]])
            if kept < len(arrivals):
                self._mean, self.dispersion, self.expected, self._usual, self._blocks, self._levels = before
                arrivals = arrivals[:kept]
                found = self._follow(arrivals, usual[:kept], high[:kept], bin_ends=not place)
        later = arrivals if place else arrivals[1:]
        if later:
            self._add(number, sum(later), len(later))
        self._end = second + len(arrivals) * BLOCK_S
        return found

    def _around(self, number: int, rows: slice) -> tuple[list[float] | list[None], list[float]]:
        """Return what is usual after each of these blocks of a group, and the highest around them."""
        if self._days_min <= 0 or self._learned < self._days_min * _DAY_BINS:
            return [None] * (rows.stop - rows.start), [0.0] * (rows.stop - rows.start)
        values = np.array([self._bin(number + away) for away in range(-_REACH, _REACH + 1)])
        usual, before, after = (_ALL @ values).reshape(3, BLOCKS)
        high = np.maximum(np.maximum(before, after), (_CENTRES * values).max(axis=1))
        return usual[rows].tolist(), high[rows].tolist()

    def _follow(
        self, arrivals: list[int], usual_of: list[float] | list[None], highest: list[float], *, bin_ends: bool
    ) -> Rates:
        mean, phi, expected, usual = self._mean, self.dispersion, self.expected, self._usual
        blocks, top = self._blocks, max(self._levels)
        gain, slow = _GAIN_MEAN, _GAIN_DISPERSION
        means: list[float] = []
        spreads: list[float] = []
        for x, now, high in zip(arrivals, usual_of, highest, strict=True):  # a million times: no calls of min and max
            blocks += 1
            if blocks <= _BLOCKS_WEIGHED:
                slow = max(_GAIN_DISPERSION, 1 / (blocks + 1))
                gain = max(_GAIN_MEAN, 1 / (blocks + 1))
            taken: float = x
            if blocks > _BLOCKS_PLAIN:
                floor = mean if mean > _FLOOR else _FLOOR
                cap = mean + 3 * sqrt(phi * floor) + 1
                most = cap if expected == mean else expected + 3 * sqrt(phi * max(expected, _FLOOR)) + 1
                if not cap < x <= expected:
                    off = (x if x < cap else cap) - mean
                    phi += slow * (off * off / floor - phi)
                    phi = phi if phi > 1 else 1.0
                taken = x if x < most else most
            mean = expected = mean + gain * (taken - mean)
            if now is not None:
                usual = now if usual is None else usual + gain * (now - usual)
            if usual is not None:
                prior = _PRIOR * phi
                level = (mean + prior) / (usual + prior)
                raised = high * (level if level > top else top)
                expected = raised if raised > mean else mean
                if bin_ends and not means:  # with the first block
                    self._levels = (level, *self._levels[:2])
                    top = max(self._levels)
            means.append(expected)
            spreads.append(phi)
        self._mean, self.dispersion, self.expected, self._usual, self._blocks = mean, phi, expected, usual, blocks
        return means, spreads

    def _add(self, number: int, arrivals: int, blocks: int) -> None:
        entry = self._open.setdefault(number, [0, 0])
        entry[0] += arrivals
        entry[1] += blocks

    def _close(self, before: int) -> None:
        for number in sorted(number for number in self._open if number < before):
            arrivals, blocks = self._open.pop(number)
            if 2 * blocks >= BLOCKS:
                place, days = number % _DAY_BINS, self._learned // _DAY_BINS
                value = round(arrivals * _UNIT / blocks)
                change = round((value - self._bins[place]) / min(days + 1, _MEMORY_DAYS))
                self._bins[place] += change
                self._sum += change
                self._learned += 1

    def _bin(self, place: int) -> float:
        value, mean = self._bins[place % _DAY_BINS], self._sum / _DAY_BINS
        days = min(self._learned // _DAY_BINS, _MEMORY_DAYS)
        seen = days * BLOCKS * (value + mean) / 2
        weight = seen / (seen + _PRIOR_ARRIVALS * _UNIT)
        shrunk: float = (mean + weight * (value - mean)) / _UNIT
        return shrunk
