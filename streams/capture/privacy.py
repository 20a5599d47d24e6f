"""Who could be found by what in a trace: per column, how many rows stand alone, and what helps. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.capture.rows import AT, SERVICE_AT, Row

TRACKED_MAX = 500_000  # distinct values, about 100 bytes each; further ones are only counted
SMALL_K = 5  # a group this small or smaller than this is told

_SECOND_US = 1_000_000
_SESSION = AT["session"]
_MODEL = AT["model"]
_NODE = AT["node"]
_REQUEST = AT["request_tokens"]
_RESPONSE = AT["response_tokens"]


@dataclass(slots=True)
class Groups:
    """How many rows share each value of something; exact up to ``TRACKED_MAX`` values, then a lower bound."""

    rows: Counter[Any] = field(default_factory=Counter)
    untracked: int = 0

    def add(self, values: Iterable[Any]) -> None:
        """Count values; how they are parted into calls makes no difference."""
        new = list(values)
        if len(self.rows) + len(new) <= TRACKED_MAX:
            self.rows.update(new)
            return
        for value in new:
            if value in self.rows or len(self.rows) < TRACKED_MAX:
                self.rows[value] += 1
            else:
                self.untracked += 1

    def facts(self) -> dict[str, Any]:
        """Return the number of groups, the rows that are alone (k = 1) or in groups below 5, and the smallest k."""
        sizes = Counter(self.rows.values())
        return {
            "values": len(self.rows),
            "rows_alone": sizes[1],
            "rows_in_groups_below_5": sum(size * n for size, n in sizes.items() if size < SMALL_K),
            "smallest_group": min(sizes, default=None),
            "exact": not self.untracked,
        }


@dataclass(slots=True)
class Privacy:
    """The privacy report in the making; ``add`` gets rows as they are published, in order."""

    whole_seconds: bool = False
    sessions: Groups = field(default_factory=Groups)
    lengths: Groups = field(default_factory=Groups)
    models: Groups = field(default_factory=Groups)
    services: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    _second: int = -1
    _in_second: int = 0
    _seconds: int = 0
    _alone: int = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Count rows."""
        self.sessions.add(row[_SESSION] for row in rows if row[_SESSION] is not None)
        self.lengths.add((row[_REQUEST], row[_RESPONSE]) for row in rows)
        self.models.add(row[_MODEL] for row in rows if row[_MODEL] is not None)
        self.services.update({row[SERVICE_AT] for row in rows})
        self.nodes.update({row[_NODE] for row in rows})
        for row in rows:
            second = row[0] // _SECOND_US
            if second == self._second:
                self._in_second += 1
                continue
            self._alone += self._in_second == 1
            self._second, self._in_second = second, 1
            self._seconds += 1

    def report(self, published: dict[str, Any]) -> dict[str, Any]:
        """Return the report; ``published`` is ``Publication.facts()``."""
        alone = self._alone + (self._in_second == 1)
        times: dict[str, Any] = {"values": self._seconds, "rows_alone_in_their_second": alone}
        return {
            "columns": {
                "Session ID": {**self.sessions.facts(), **_SESSIONS[published["sessions"]]},
                "Timestamp, Elapsed time": times | (_CUT if self.whole_seconds else _EXACT),
                "Request tokens, Response tokens": {**self.lengths.facts(), **_LENGTHS},
                "Model": {**self.models.facts(), **_MODELS},
                "sidecar: id": _IDS[published["request_ids"]],
                "sidecar: service, node, source": {
                    "services": len(self.services),
                    "nodes": len(self.nodes),
                    **_PLACES,
                },
            },
            "not_in_it": "no prompt, no response, no address, no user name: no field of an event could hold them",
            "advice": _advice(published, whole_seconds=self.whole_seconds),
        }


def _advice(published: dict[str, Any], *, whole_seconds: bool) -> list[str]:
    found = []
    if published["sessions"] == "as captured":
        found.append("--no-sessions, or --rekey random: tags as captured join this trace with the live system")
    if not whole_seconds:
        found.append("--whole-seconds: exact times find a request that somebody has seen elsewhere")
    found.append(
        "publish the table only: the sidecar has microseconds, node names and error codes; the manifest names agents, "
        "services and the real time"
    )
    return found


_SESSIONS: dict[str, dict[str, str | None]] = {
    "as captured": {
        "identifies": "the requests of one session, as one; who holds an agent's session.key can find the session",
        "what_to_do": "--no-sessions, or --rekey",
    },
    "hashed again": {
        "identifies": "the requests of one session, as one; nobody without this publication's key finds which",
        "what_to_do": "--no-sessions if sequences of requests could tell a person",
    },
    "left out": {"identifies": "nothing", "what_to_do": None},
}
_IDS: dict[str, dict[str, str | None]] = {
    "as captured": {
        "identifies": "the request: the live system has the same id",
        "what_to_do": "--rekey, or keep the sidecar",
    },
    "hashed again": {"identifies": "nothing outside this publication", "what_to_do": None},
}
_EXACT = {
    "resolution": "1 us",
    "identifies": "a request whose time somebody knows from elsewhere",
    "what_to_do": "--whole-seconds",
}
_CUT = {
    "resolution": "1 s in the table, 1 us in the sidecar",
    "identifies": "a request that is alone in its second, to whoever knows that second",
    "what_to_do": "keep the sidecar",
}
_LENGTHS = {
    "identifies": "a request whose lengths somebody knows (who sent it knows them), where the pair is rare",
    "what_to_do": "publish no pair of lengths together with anything that is said of a person",
}
_MODELS = {
    "identifies": "a customer, where a model's name is theirs (a fine-tune) or few use it",
    "what_to_do": "look at the names in rows.by_model before publishing",
}
_PLACES = {
    "identifies": "the operator's machines and deployments",
    "what_to_do": "keep the sidecar",
}
