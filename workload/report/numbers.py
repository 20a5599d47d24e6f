"""Numbers as people read them, the same on the terminal and on a page. Pure. What is absent is ``-``."""

from datetime import UTC, datetime
from math import floor, isfinite, log10
from typing import TypeGuard

ABSENT = "-"
_PLAIN = (1e-4, 1e15)  # beyond these, powers of ten are shorter
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def known(value: object) -> TypeGuard[float]:
    """Return whether this is a finite number (None, NaN and infinities tell nothing)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def number(value: object, digits: int = 3) -> str:
    """Return a number with ``digits`` significant digits; whole numbers are kept whole, with thousands' commas.

    >>> number(1234.56), number(0.0123456), number(2.0), number(None), number(7), number(1e-7)
    ('1,235', '0.0123', '2', '-', '7', '1e-07')
    """
    if not known(value):
        return ABSENT
    if value == int(value) and abs(value) < _PLAIN[1]:
        return f"{int(value):,}"
    if not _PLAIN[0] <= abs(value) < _PLAIN[1]:
        return f"{value:.{digits - 1}g}"
    rounded = abs(float(f"{value:.{digits - 1}e}"))  # 0.9999 has the digits of 1.00
    return f"{value:,.{max(digits - 1 - floor(log10(rounded)), 0)}f}"


def percent(ratio: object, digits: int = 3) -> str:
    """Return a ratio as a percentage.

    >>> percent(0.0726), percent(1), percent(None), percent(0), percent(0.9998)
    ('7.26 %', '100 %', '-', '0 %', '99.98 %')
    """
    if not known(ratio):
        return ABSENT
    if ratio in {0, 1}:
        return f"{100 * int(ratio)} %"
    if 0.99 < ratio < 1:  # told by what is missing to all: 99.98 %, never 100.0 %
        return f"{100 * ratio:.{min(max(-floor(log10(100 * (1 - ratio)) + 1e-9), 1), 9)}f} %"
    return f"{number(100 * ratio, digits)} %"


def duration(seconds: object) -> str:
    """Return a length of time in the unit it is told in: milliseconds below a second, days above two.

    >>> duration(0.0123), duration(12.34), duration(90), duration(86400 * 110), duration(None), duration(0)
    ('12.3 ms', '12.3 s', '90 s', '110 d', '-', '0 s')
    """
    if not known(seconds):
        return ABSENT
    if seconds == 0:
        return "0 s"
    if abs(seconds) < 1:
        return f"{_short(seconds * 1e3)} ms"
    size, unit = next((pair for pair in _UNITS if abs(seconds) >= 2 * pair[0]), (1, "s"))
    return f"{_short(seconds / size)} {unit}"


def _short(value: float) -> str:
    return number(round(value) if abs(value - round(value)) < 1e-9 else float(value))


def count(n: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun.

    >>> count(1, "burst"), count(1200, "burst"), count(2, "fit", "fits")
    ('1 burst', '1,200 bursts', '2 fits')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def span(lower: object, upper: object) -> str:
    """Return an interval of ratios as percentages; ``-`` where a bound is not known.

    >>> span(0.01, 0.05), span(None, 0.1)
    ('1 % to 5 %', '-')
    """
    return f"{percent(lower)} to {percent(upper)}" if known(lower) and known(upper) else ABSENT


def moment(at_s: object, *, absolute: bool) -> str:
    """Return a time: UTC if ``absolute`` (seconds since the epoch), else days and hours since the trace's second 0.

    >>> moment(1700000000.0, absolute=True), moment(90061.5, absolute=False), moment(None, absolute=True)
    ('2023-11-14 22:13:20', 'day 1 01:01:01', '-')
    """
    if not known(at_s):
        return ABSENT
    if absolute:
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    whole = int(at_s)
    hours, rest = divmod(whole % 86_400, 3_600)
    return f"day {whole // 86_400} {hours:02}:{rest // 60:02}:{rest % 60:02}"
