"""Which burst threshold gives a fleet of services so many false alarms a day?"""

from math import log

_THRESHOLD_MIN = 3.5  # the lowest at which false alarms were counted


def fleet_threshold(services: int, false_alarms_per_day: float) -> float:
    """Return the score h at which ``services`` services together sound falsely ``false_alarms_per_day`` times.

    h = 4 + 0.18 ln(0.17 K / F), at least 3.5: one service sounds 0.17 times a day at 4.0 (mean over six kinds of
    ordinary traffic, 0.1 to 50 requests/s), and a fifth as often per 0.25 to 0.3 more (measured from 3.5 to 4.5 with
    the multi-window detector; beyond that it is an extrapolation). Traffic that is burstier, or whose level steps,
    sounds more often.

    >>> fleet_threshold(1, 0.17)
    4.0
    >>> round(fleet_threshold(1000, 1.0), 2), round(fleet_threshold(5000, 1.0), 2), fleet_threshold(1, 100.0)
    (4.92, 5.21, 3.5)
    """
    return max(_THRESHOLD_MIN, 4 + 0.18 * log(0.17 * services / false_alarms_per_day))
