"""Digamma and its first two derivatives for positive arguments (scipy is not a dependency).

Recurrence up to x >= 10, then the asymptotic series (Abramowitz and Stegun 6.3.18, 6.4.11): about 1e-13.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Number = TypeVar("Number", float, Floats)

_STEPS = 10


def digamma(x: Floats) -> Floats:
    """Return psi(x), the derivative of ln Gamma.

    >>> round(float(digamma(np.array(1.0))), 12)  # minus Euler's constant
    -0.577215664902
    """
    shift = sum(1 / (x + k) for k in range(_STEPS))
    y = x + _STEPS
    r = 1 / (y * y)
    series = r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r * (5 / 660)))))
    result: Floats = np.log(y) - 1 / (2 * y) - series - shift
    return result


def trigamma(x: Number) -> Number:
    """Return psi'(x), of one number or of an array.

    >>> round(trigamma(1.0), 12)  # pi^2/6
    1.644934066848
    """
    shift = sum([1 / (x + k) ** 2 for k in range(_STEPS)])
    y = x + _STEPS
    r = 1 / (y * y)
    series = r * (1 / 6 - r * (1 / 30 - r * (1 / 42 - r * (1 / 30 - r * (5 / 66)))))
    return 1 / y + r / 2 + series / y + shift


def tetragamma(x: Floats) -> Floats:
    """Return psi''(x), negative for every x.

    >>> round(float(tetragamma(np.array(1.0))), 12)  # -2 zeta(3)
    -2.404113806319
    """
    shift = sum(2 / (x + k) ** 3 for k in range(_STEPS))
    y = x + _STEPS
    r = 1 / (y * y)
    series = r * r * (1 / 2 - r * (1 / 6 - r * (1 / 6 - r * (3 / 10 - r * (5 / 6)))))
    result: Floats = -r - r / y - series - shift
    return result
