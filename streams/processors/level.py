"""The arrivals of a service in 10 s, as they have lately been: a slowly learned level and its over-dispersion. Pure.

Both burst detectors learn by these rules, per full block x of the event-time grid, of which E was expected (the level
itself, or more: expected_rate.py):

- Level: m moves towards min(x, E + 3 sqrt(phi E) + 1) with memory 900 s; the first blocks weigh 1/(k+1).
- Dispersion: phi, the variance over mean of blocks, moves with memory 3600 s and never below 1; it starts, as does
  the cap, with the seventh block. It is measured against m: a slope widens it. What is more than the cap above m,
  but no more than E, is the time of day and teaches it nothing.
- A burst is no baseline: within one, for at most 300 s (then it is a new level), a block of twice E or more leaves
  phi alone and counts for m as one standard deviation above E (so that m does not sink to the idle level).
  Without this the built-in workload's bursts (x5 to x10, one a minute) taught phi so much that 4 of 12 were found,
  3 to 10 s late; with it 12 of 12. Masking below twice E would sound 14 alarms a day on ordinary level shifts of
  x1.5 at 50/s (measured with the 10-s score).
"""

from math import exp, sqrt
from typing import Any

from streams.processors.bursts import BLOCK_S

LEVEL_S = 300  # a burst that lasts longer is the service's new level: learn it
BLOCKS_PLAIN = 6  # blocks before the dispersion is learned and a block's weight is capped
_GAIN_MEAN = 1 - exp(-BLOCK_S / 900)
_GAIN_DISPERSION = 1 - exp(-BLOCK_S / 3600)
_MASKED_RATIO = 2.0
_FLOOR = 0.3  # arrivals per block: below it one arrival would look like over-dispersion


def masked(arrivals: float, expected: float, burst_s: int | None) -> bool:
    """True if a block is part of a burst, and so no baseline; ``burst_s``: how long the burst has been on, if any."""
    return burst_s is not None and burst_s < LEVEL_S and arrivals >= _MASKED_RATIO * expected


class Level:
    """What blocks of 10 s hold.

    Attributes:
        mean: arrivals per block; None until there was one.
        dispersion: variance over mean of blocks.
        blocks: blocks learned.
    """

    def __init__(self) -> None:
        self.mean: float | None = None
        self.dispersion = 1.0
        self.blocks = 0

    def learn(self, arrivals: float, expected: float, *, masked: bool) -> float:
        """Take a block, of which ``expected`` was expected; return the gain by which the mean moved (1 for the first).

        A ``masked`` block counts as one standard deviation above what was expected.
        """
        if self.mean is None:
            self.blocks = 1
            self.mean = max(arrivals, 0.5)
            return 1.0
        mean, x = self.mean, arrivals
        spread = sqrt(self.dispersion * max(expected, _FLOOR))
        if masked:
            gain, x = _GAIN_MEAN, expected + spread
        else:
            self.blocks += 1
            weight = 1 / (self.blocks + 1)
            gain = max(_GAIN_MEAN, weight)
            if self.blocks > BLOCKS_PLAIN:
                self._disperse(x, mean, expected, gain=max(_GAIN_DISPERSION, weight))
                x = min(x, expected + 3 * spread + 1)
        self.mean = mean + gain * (x - mean)
        return gain

    def _disperse(self, x: float, mean: float, expected: float, *, gain: float) -> None:
        cap = mean + 3 * sqrt(self.dispersion * max(mean, _FLOOR)) + 1
        if cap < x <= expected:
            return
        ratio = (min(x, cap) - mean) ** 2 / max(mean, _FLOOR)
        self.dispersion = max(1.0, self.dispersion + gain * (ratio - self.dispersion))

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"mean": self.mean, "dispersion": self.dispersion, "blocks": self.blocks}

    def load(self, facts: dict[str, Any]) -> None:
        """Take over what ``dump`` gave. Raises ``LookupError`` or ``TypeError``."""
        self.mean, self.dispersion, self.blocks = facts["mean"], facts["dispersion"], facts["blocks"]
