"""Episode messages as marks on a time axis, and which of many are to be written."""

import html
import threading
from collections.abc import Mapping
from typing import Any

from burstwatch.wording import MALFORMED, episode_size
from dashboards.grafana.annotations import Mark

PENDING_MAX = 10_000
_YEAR_2100_US = 4_102_444_800_000_000


def mark(episode: Mapping[str, Any]) -> Mark:
    """Return the mark of an episode message: from onset to end, or to where it was detected while it lasts.

    Raises one of ``MALFORMED`` for what is no episode message.
    """
    key, kind, service = (_text(episode[name]) for name in ("id", "kind", "service"))
    lasting = {"onset": True, "end": False}[episode["state"]]
    onset = _time(episode["onset"])
    end = max(onset, _time(episode["detected"] if lasting else episode["end"]))
    size = episode_size(dict(episode))
    words = f"{kind} of {service}{' goes on' if lasting else ''}{': ' if size else ''}{size}"
    return Mark(
        key=key,
        start_ms=onset // 1000,
        end_ms=end // 1000,
        text=html.escape(words, quote=False),  # Grafana shows annotations as HTML
        labels=(kind, ("service", service)),
        lasting=lasting,
    )


class Episodes:
    """Marks waiting to be written, the newest of each episode: an end is not undone by an onset told again.

    One thread may note messages while another writes.

    Attributes:
        unreadable: messages that are no episodes; ``dropped`` marks that had to go for ``PENDING_MAX``.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Mark] = {}
        self._lock = threading.Lock()
        self.unreadable = 0
        self.dropped = 0

    def note(self, message: Any) -> None:  # noqa: ANN401 - whatever JSON a topic holds
        """Take in one message."""
        try:
            new = mark(message)
        except MALFORMED:
            self.unreadable += 1
            return
        with self._lock:
            old = self._waiting.pop(new.key, None)
            self._waiting[new.key] = old if old is not None and new.lasting and not old.lasting else new
            if len(self._waiting) > PENDING_MAX:
                del self._waiting[next(iter(self._waiting))]
                self.dropped += 1

    def keep_since(self, seconds: float) -> None:
        """Forget the episodes that ended more than ``seconds`` of event time before the newest."""
        with self._lock:
            newest_ms = max((waiting.end_ms for waiting in self._waiting.values()), default=0)
            self._waiting = {key: m for key, m in self._waiting.items() if m.end_ms >= newest_ms - seconds * 1000}

    def waiting(self) -> list[Mark]:
        """Return the marks that are still to be written, the earliest first."""
        with self._lock:
            waiting = list(self._waiting.values())
        return sorted(waiting, key=lambda mark: (mark.start_ms, mark.key))

    def written(self, mark: Mark) -> None:
        """Take note that ``mark`` is in Grafana; a newer state of it keeps waiting."""
        with self._lock:
            if self._waiting.get(mark.key) == mark:
                del self._waiting[mark.key]


def _text(value: Any) -> str:  # noqa: ANN401 - JSON
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(value)
    return value


def _time(value: Any) -> int:  # noqa: ANN401 - JSON
    if type(value) is not int or not 1000 <= value < _YEAR_2100_US:
        raise ValueError(value)
    return value
