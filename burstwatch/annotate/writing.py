"""Marks into Grafana, once or for as long as told, and what is said about it."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from burstwatch.annotate.marks import Episodes
from burstwatch.tail import History, TopicFollower
from burstwatch.wording import clock
from collector.schema.topics import EPISODES
from dashboards.grafana.annotations import CREATE, SAME, UPDATE, Marked, Marker
from dashboards.grafana.client import AwayError, RefusedError

RETRY_S = 5.0
_OF_THE_MARK = {400, 413, 422}  # refusals that say nothing about the next one
_LOOK_S = 0.3
_YEAR_S = 31_536_000.0
_DONE = {CREATE: "created", UPDATE: "updated", SAME: "unchanged"}


class Lines:
    """Says what was done, a line for each mark that was written, in words or as JSON."""

    def __init__(self, *, written: bool, as_json: bool) -> None:
        self._written = written
        self._as_json = as_json
        self.counts: Counter[str] = Counter()
        self.refused = 0

    def say(self, marked: Marked) -> None:
        """Tell of one mark; of those that were there already only in the end, by number."""
        self.counts[marked.action] += 1
        if marked.action == SAME:
            return
        line = json.dumps(self._object(marked)) if self._as_json else self._words(marked)
        print(line, flush=True)  # noqa: T201 - a command's output

    def _object(self, marked: Marked) -> dict[str, Any]:
        mark = marked.mark
        return {
            "action": marked.action,
            "written": self._written,
            "annotation": marked.number,
            "episode": mark.key,
            "time": mark.start_ms,
            "timeEnd": mark.end_ms,
            "tags": mark.tags,
            "text": mark.text,
        }

    def _words(self, marked: Marked) -> str:
        word = _DONE[marked.action] if self._written else f"would {marked.action}"
        span = f"{clock(marked.mark.start_ms * 1000)}Z +{(marked.mark.end_ms - marked.mark.start_ms) / 1000:.0f} s"
        return f"{word:<13} {span}  {marked.mark.text}"

    def summary(self, episodes: Episodes) -> None:
        """Tell how many of what, for people."""
        if self._as_json:
            return
        parts = [f"{self.counts[action]} {_DONE[action]}" for action in _DONE if self.counts[action]]
        lost = {"refused": self.refused, "not readable": episodes.unreadable, "dropped": episodes.dropped}
        parts += [f"{number} {what}" for what, number in lost.items() if number]
        written = "" if self._written else "dry run, nothing was written; would be "
        print(f"{written}{', '.join(parts) or 'no episodes'}")  # noqa: T201 - a command's output


def write_all(episodes: Episodes, marker: Marker, lines: Lines, stopped: Callable[[], bool] = lambda: False) -> None:
    """Write every mark that waits, until ``stopped``; one Grafana does not take for what it is, is told of and left.

    Raises ``AwayError`` when Grafana is away, ``RefusedError`` when it refuses us; marks not written wait on.
    """
    for mark in episodes.waiting():
        if stopped():
            return
        try:
            lines.say(marker.put(mark))
        except RefusedError as refused:
            if refused.status not in _OF_THE_MARK:
                raise
            lines.refused += 1
            _tell(f"{mark.key}: {refused}")
        episodes.written(mark)


class Following:
    """Goes on with new episodes; a Kafka or a Grafana that is away is waited for."""

    def __init__(self, kafka: str, marker: Marker, lines: Lines, since_s: float) -> None:
        self._marker = marker
        self._lines = lines
        self._since_s = since_s
        self._episodes = Episodes()
        self._kafka = (True, False)  # whether it answers, whether all history was read; as the follower's thread says
        self._kafka_told = True
        self._caught_up = False
        self._again_s = 0.0
        self._away = False
        self._follower = TopicFollower(
            kafka,
            [EPISODES],
            History(seconds=min(since_s, _YEAR_S)),
            on_messages=self._hear,
            on_kafka=self._hear_of_kafka,
        )

    def run(self, stopped: threading.Event) -> int:
        """Follow until ``stopped`` is set; return 0. Raises ``RefusedError`` if Grafana no longer allows it."""
        self._follower.start()
        try:
            while not stopped.wait(_LOOK_S):
                self._look_at_kafka()
                if self._caught_up and time.monotonic() >= self._again_s:
                    self._write(stopped)
        finally:
            self._follower.stop()
        return 0

    def _hear(self, messages: list[Any]) -> None:
        for message in messages:
            self._episodes.note(message)

    def _hear_of_kafka(self, answers: bool, caught_up: bool) -> None:  # noqa: FBT001 - as the follower calls it
        self._kafka = answers, caught_up

    def _look_at_kafka(self) -> None:
        answers, caught_up = self._kafka
        if answers != self._kafka_told:
            self._kafka_told = answers
            _tell("Kafka answers again" if answers else "Kafka does not answer; waiting")
        if caught_up and not self._caught_up:
            self._caught_up = True
            self._episodes.keep_since(self._since_s)

    def _write(self, stopped: threading.Event) -> None:
        try:
            write_all(self._episodes, self._marker, self._lines, stopped.is_set)
        except AwayError as away:
            if not self._away:
                _tell(f"{away}; {len(self._episodes.waiting())} wait, trying again every {RETRY_S:g} s")
            self._away = True
            self._again_s = time.monotonic() + RETRY_S
            return
        if self._away:
            _tell("Grafana answers again; all is written")
        self._away = False


def _tell(line: str) -> None:
    print(f"burstwatch dashboards annotate: {line}", file=sys.stderr, flush=True)  # noqa: T201 - for whoever watches
