"""Marks on the time axes of a Grafana, each written once: what is wanted, what is there, and the step between.

A mark carries its key in a tag, so what was written is found again by asking Grafana: nothing is kept anywhere else,
and whoever writes them may be stopped and started at any time. Two writers at once may both create a mark; run one.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.grafana.client import AwayError, Grafana

TAG = "burstwatch"
LASTING = "ongoing"  # a tag a mark has until its end is known
CREATE, UPDATE, SAME = "create", "update", "unchanged"
_KEY_TAG = "episode:"
_TAG_MAX = 100  # of key and value each, in Grafana's database
_SETTLED_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A region of time. ``key`` tells it from all others; ``lasting``: ``end_ms`` is the end so far.

    Times are milliseconds since the epoch. ``labels`` become tags: a name, or a name and a value.
    """

    key: str
    start_ms: int
    end_ms: int
    text: str
    labels: tuple[str | tuple[str, str], ...]
    lasting: bool

    @property
    def key_tag(self) -> str:
        """The tag it is found by: short, whatever the key is."""
        return _KEY_TAG + hashlib.sha256(self.key.encode()).hexdigest()[:20]

    @property
    def tags(self) -> list[str]:
        """All its tags, as Grafana keeps them."""
        named = [tag(label) if isinstance(label, str) else tag(*label) for label in self.labels]
        return [TAG, *named, self.key_tag, *([LASTING] if self.lasting else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What was done about a mark (or is to be): create, update or unchanged; ``number`` is Grafana's, if it has one."""

    mark: Mark
    action: str
    number: int | None


def tag(name: str, value: str = "") -> str:
    """Return a tag as Grafana keeps it: it splits at colons, forgets what follows a second one, and trims both sides.

    >>> tag("service", "chat:eu "), tag("burst")
    ('service:chat_eu', 'burst')
    """
    parts = (part.replace(":", "_").strip()[:_TAG_MAX].strip() for part in (name, value))
    return ":".join(part for part in parts if part)


def step(mark: Mark, found: Mapping[str, Any] | None) -> str:
    """Return what has to be done so that Grafana has ``mark``. Pure. What has ended never begins again."""
    if found is None:
        return CREATE
    tags = set(found.get("tags") or ())
    if mark.lasting and LASTING not in tags:
        return SAME
    there = found.get("time"), found.get("timeEnd"), found.get("text"), tags
    return SAME if there == (mark.start_ms, mark.end_ms, mark.text, set(mark.tags)) else UPDATE


class Marker:
    """Writes marks; with ``write=False`` only says what it would write."""

    def __init__(self, grafana: Grafana, *, write: bool) -> None:
        self._grafana = grafana
        self._write = write
        self._settled: OrderedDict[str, None] = OrderedDict()  # keys of marks whose end is written

    def put(self, mark: Mark) -> Marked:
        """Bring ``mark`` into Grafana if it is not there as it is.

        Raises ``AwayError`` if Grafana does not answer, ``RefusedError`` if it does not allow it.
        """
        if mark.key in self._settled:
            return Marked(mark=mark, action=SAME, number=None)
        try:
            done = self._put(mark)
        except AwayError:
            done = self._put(mark)  # a creation that got no answer may have happened: look again before the next
        if not mark.lasting:
            self._settled[mark.key] = None
            if len(self._settled) > _SETTLED_MAX:
                self._settled.popitem(last=False)
        return done

    def _put(self, mark: Mark) -> Marked:
        found = self._find(mark)
        action = step(mark, found)
        number = None if found is None else int(found["id"])
        if self._write and action == CREATE:
            number = self._create(mark)
        elif self._write and action == UPDATE:
            self._update(mark, number)
        return Marked(mark=mark, action=action, number=number)

    def _find(self, mark: Mark) -> Mapping[str, Any] | None:
        # Not by find_annotations: grafana-client 5.1 puts tags into the address as they are.
        query = {"tags": [TAG, mark.key_tag], "type": "annotation", "limit": 10}
        hits = self._grafana.ask(
            "looking for an annotation",
            lambda api: api.client.GET("/annotations", params=query),
            right="annotations:read",
        )
        return min(hits, key=lambda hit: int(hit["id"])) if hits else None

    def _create(self, mark: Mark) -> int | None:
        body = _body(mark)
        answer = self._grafana.ask(
            "creating an annotation",
            lambda api: api.client.POST("/annotations", json=body),
            right="annotations:create (the Editor role has it)",
            again=False,
        )
        return answer.get("id") if isinstance(answer, dict) else None

    def _update(self, mark: Mark, number: int | None) -> None:
        body = _body(mark)
        self._grafana.ask(
            f"updating annotation {number}",
            lambda api: api.client.PATCH(f"/annotations/{number}", json=body),
            right="annotations:write (the Editor role has it)",
            absent=True,  # somebody deleted it since it was found: so be it
        )


def _body(mark: Mark) -> dict[str, Any]:
    return {"time": mark.start_ms, "timeEnd": mark.end_ms, "tags": mark.tags, "text": mark.text}
