"""Panels as the plain dictionaries Grafana reads: what every kind has in common. Pure; nothing here knows a metric.

Colours judge only where a panel has ``steps``: everything else takes the palette's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dashboards.boards.navigation import to_runbook
from dashboards.boards.queries import DATASOURCE, Json, Query, ref, target

Board = Json
Steps = Sequence[tuple[float | None, str]]

_METRIC = re.compile(r"[\w:]*burstwatch_\w+(?::\w+)?|\bscrape_samples_\w+|\bALERTS\b|\bup\b(?=\{)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        id: number of the panel on its board, for ever: deep links and alerts name it.
        what: what is seen. ``normal``: what it looks like when all is well. ``act``: what to do when it does not. The
            description is made of these and the names of the metrics.
        empty: what absence means, shown in place of "No data".
        unit: Grafana unit of all queries that have none of their own.
        steps: thresholds (from this value on, colour), the first from None; none: no judgement.
        words: (value, text, colour) for values that are states.
        least, most: ends of the axis or bar; ``decimals`` that are shown.
        links: where a value leads to. ``alerts``: whose headings in the runbook the panel leads to.
    """

    kind: ClassVar[str]
    shape: ClassVar[str] = "time_series"
    instant: ClassVar[bool] = False

    id: int
    title: str
    what: str
    normal: str
    act: str
    empty: str
    queries: Sequence[Query]
    unit: str = "short"
    width: int = 12
    height: int = 8
    steps: Steps = ()
    words: Sequence[tuple[int, str, str]] = ()
    least: float | None = None
    most: float | None = None
    decimals: int | None = None
    links: Sequence[Json] = ()
    alerts: Sequence[str] = ()

    def json(self) -> Json:
        """Return the panel without its place."""
        found: Json = {
            "id": self.id,
            "type": self.kind,
            "title": self.title,
            "description": self._description(),
            "datasource": DATASOURCE,
            "fieldConfig": {"defaults": self._defaults(), "overrides": self.overrides()},
            "options": self.options(),
            "targets": [
                target(query, index, shape=self.shape, instant=self.instant) for index, query in enumerate(self.queries)
            ],
        }
        if self.alerts:
            found["links"] = [to_runbook(alert) for alert in self.alerts]
        return found | self.extra()

    def custom(self) -> Json:
        """Return what only this kind's fields have."""
        return {}

    def options(self) -> Json:
        """Return what only this kind has."""
        return {}

    def overrides(self) -> list[Json]:
        """Return what differs from query to query."""
        return []

    def extra(self) -> Json:
        """Return further keys of the panel itself."""
        return {}

    def mappings(self) -> list[Json]:
        """Return the words and colours of values that are states."""
        return mappings(self.words)

    def colour(self) -> Json:
        """Return how values get their colour: from thresholds where the panel judges."""
        return {"mode": "thresholds" if self.steps else "palette-classic"}

    def _description(self) -> str:
        names = sorted({name for query in self.queries for name in _METRIC.findall(query.expr)})
        listed = ", ".join(f"`{name}`" for name in names)
        parts = (self.what, f"**Normal:** {self.normal}", f"**If not:** {self.act}", f"From {listed}.")
        return "\n\n".join(parts)

    def _defaults(self) -> Json:
        found: Json = {
            "unit": self.unit,
            "noValue": self.empty,
            "color": self.colour(),
            "custom": self.custom(),
            "mappings": self.mappings(),
            "thresholds": thresholds(self.steps),
        }
        optional = {"min": self.least, "max": self.most, "decimals": self.decimals}
        found |= {key: value for key, value in optional.items() if value is not None}
        if self.links:
            found["links"] = list(self.links)
        return found


def thresholds(steps: Steps) -> Json:
    """Return Grafana's thresholds; without steps one that colours nothing."""
    return {
        "mode": "absolute",
        "steps": [{"color": colour, "value": value} for value, colour in steps or [(None, "text")]],
    }


def mappings(words: Sequence[tuple[int, str, str]]) -> list[Json]:
    """Return the texts and colours shown for values that are states."""
    if not words:
        return []
    options = {
        str(value): {"text": text, "color": colour, "index": index} for index, (value, text, colour) in enumerate(words)
    }
    return [{"type": "value", "options": options}]


def of_query(index: int, **properties: object) -> Json:
    """Return the override for the results of the query at ``index``, whichever service they are of."""
    return {
        "matcher": {"id": "byFrameRefID", "options": ref(index)},
        "properties": [{"id": name.replace("__", "."), "value": value} for name, value in properties.items()],
    }
