"""Where something that holds stops holding: a bracket by doubling or halving, then bisection. Pure."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from math import sqrt

RATIO = 1.05  # a bracket this tight is an answer


@dataclass(frozen=True, slots=True)
class Bracket:
    """``low`` held (None: nothing tried did), ``high`` did not (None: everything tried held)."""

    low: float | None
    high: float | None


def highest(
    holds: Callable[[float], bool], start: float, *, bounds: tuple[float, float], ratio: float = RATIO
) -> Bracket:
    """Return where ``holds`` ends: ``bracketing`` with the answers of ``holds``.

    >>> highest(lambda x: x < 10.0, 1.0, bounds=(0.1, 100.0), ratio=1.3)
    Bracket(low=9.513656920021768, high=11.313708498984761)
    >>> highest(lambda x: False, 1.0, bounds=(0.25, 4.0)), highest(lambda x: True, 1.0, bounds=(0.25, 4.0))
    (Bracket(low=None, high=0.25), Bracket(low=4.0, high=None))
    """
    questions = bracketing(start, bounds=bounds, ratio=ratio)
    try:
        at = next(questions)
        while True:
            at = questions.send(holds(at))
    except StopIteration as found:
        bracket: Bracket = found.value
        return bracket


def bracketing(
    start: float, *, bounds: tuple[float, float], ratio: float = RATIO, tries: int = 40
) -> Generator[float, bool, Bracket]:
    """Yield the points to try, take whether each holds, return where that ends: it holds below and not above.

    Begins at ``start``, stays within ``bounds`` (lowest, highest), and ends when high / low is at most ``ratio`` or
    after ``tries``. Where it is not quite monotone (chance), one of its crossings is found.
    """
    low: float | None = None
    high: float | None = None
    at = start
    for _ in range(tries):
        if (yield at):
            low = at
        else:
            high = at
        if high is None:
            if at >= bounds[1]:
                break
            at = min(at * 2, bounds[1])
        elif low is None:
            if at <= bounds[0]:
                break
            at = max(at / 2, bounds[0])
        elif high / low <= ratio:
            break
        else:
            at = sqrt(low * high)
    return Bracket(low, high)


def fewest(holds: Callable[[int], bool], most: int) -> int | None:
    """Return the smallest whole number from 1 that holds, for something that holds from there on; None up to ``most``.

    >>> fewest(lambda n: n >= 11, 64), fewest(lambda n: True, 64), fewest(lambda n: n >= 70, 64)
    (11, 1, None)
    """
    low, high = 0, 1  # low does not hold
    while not holds(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
