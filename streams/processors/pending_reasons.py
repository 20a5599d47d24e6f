"""Why requests failed, by second of event time, until event time has passed it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.processors.totals import UNKNOWN

SECOND_US = 1_000_000


class PendingReasons:
    """Failures by second and reason, of seconds not shown to the failure detector yet."""

    def __init__(self) -> None:
        self._seconds: dict[int, Counter[str]] = {}
        self._shown = 0  # seconds below are

    def add(self, times: NDArray[np.int64], reasons: Sequence[str], codes: NDArray[np.intp]) -> None:
        """Take failures that ended at ``times`` (us); the code ``len(reasons)`` stands for a reason not given."""
        width = len(reasons) + 1
        names = [*reasons, UNKNOWN]
        for place, count in Counter((times // SECOND_US * width + codes).tolist()).items():
            second, code = divmod(place, width)
            if second >= self._shown:
                self._seconds.setdefault(second, Counter())[names[code]] += count

    def take(self, second: int) -> Mapping[str, int]:
        """Return the reasons of ``second``, and take no more for it or any before."""
        self._shown = second + 1
        return self._seconds.pop(second, {})

    def forget_before(self, second: int) -> None:
        """Take no more for what lies before ``second``: nobody asks for a failure that is told too late."""
        self._shown = max(self._shown, second)
        for at in [at for at in self._seconds if at < second]:
            del self._seconds[at]

    def drop_from(self, second: int) -> None:
        """Forget ``second`` and all after it: the counts have no room for them either."""
        for at in [at for at in self._seconds if at >= second]:
            del self._seconds[at]

    def start_over(self) -> None:
        """Forget everything."""
        self._seconds, self._shown = {}, 0

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"shown": self._shown, "seconds": [[second, dict(c)] for second, c in sorted(self._seconds.items())]}

    def load(self, facts: dict[str, Any]) -> None:
        """Take over what ``dump`` gave. Raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        self._shown = facts["shown"]
        self._seconds = {second: Counter(counts) for second, counts in facts["seconds"]}
