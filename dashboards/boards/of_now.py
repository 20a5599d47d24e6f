"""Panels without a time axis: numbers, bars and tables of this moment.

They ask instant queries. The last value of a range would show an episode or a queue of ten minutes ago as if it were
there still; an instant query finds nothing once a series has ended.
"""

from dataclasses import dataclass
from typing import ClassVar

from dashboards.boards.panels import Panel, mappings, thresholds
from dashboards.boards.queries import Json, ref

# Nothing known is neither good nor bad; without this Grafana gives it the colour of the lowest values.
_UNKNOWN = "#7b8087"
_LAST: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Panel):
    """What numbers and bars have in common."""

    instant: ClassVar[bool] = True

    def mappings(self) -> list[Json]:
        """Return the words of values, and how it looks that there is none."""
        result = {"text": self.empty, "color": _UNKNOWN, "index": len(self.words)}
        return [*mappings(self.words), {"type": "special", "options": {"match": "null+nan", "result": result}}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat(Number):
    """One number, or one for each series; ``named`` shows whose it is."""

    kind: ClassVar[str] = "stat"

    width: int = 4
    height: int = 4
    named: bool = False

    def colour(self) -> Json:
        """A number that is not judged is plain text."""
        return {"mode": "thresholds"}

    def options(self) -> Json:
        """Return how the number is drawn: on a coloured ground where it is judged."""
        return {
            "colorMode": "background" if self.steps else "none",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": _LAST,
            "showPercentChange": False,
            "textMode": "value_and_name" if self.named else "value",
            "wideLayout": True,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BarGauge(Number):
    """One bar for each series."""

    kind: ClassVar[str] = "bargauge"

    def options(self) -> Json:
        """Return horizontal bars: names of engines and models are long."""
        return {
            "displayMode": "basic",
            "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
            "maxVizHeight": 40,
            "minVizHeight": 16,
            "minVizWidth": 8,
            "namePlacement": "auto",
            "orientation": "horizontal",
            "reduceOptions": _LAST,
            "showUnfilled": True,
            "sizing": "auto",
            "valueMode": "color",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Panel):
    """One line for each combination of labels, one column for each query; greatest of column ``sort`` first."""

    kind: ClassVar[str] = "table"
    shape: ClassVar[str] = "table"
    instant: ClassVar[bool] = True

    sort: str = ""

    def colour(self) -> Json:
        """Cells are plain; columns with steps or words have their own colours."""
        return {"mode": "thresholds"}

    def custom(self) -> Json:
        """Return how cells are drawn: columns narrow enough that none is cut off in half a board's width."""
        return {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "minWidth": 80}

    def options(self) -> Json:
        """Return a dense table with headings."""
        found: Json = {"cellHeight": "sm", "showHeader": True}
        return found | ({"sortBy": [{"displayName": self.sort, "desc": True}]} if self.sort else {})

    def overrides(self) -> list[Json]:
        """Return each column's unit, words and colours."""
        found = []
        for query in self.queries:
            properties: list[Json] = [{"id": "unit", "value": query.unit or self.unit}]
            if query.words:
                properties.append({"id": "mappings", "value": mappings(query.words)})
            if query.steps:
                properties.append({"id": "thresholds", "value": thresholds(query.steps)})
            if query.words or query.steps:
                properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
            found.append({"matcher": {"id": "byName", "options": query.column}, "properties": properties})
        return found

    def extra(self) -> Json:
        """Return what makes one table of the queries' results and gives their columns names."""
        names = {_value(index, len(self.queries)): query.column for index, query in enumerate(self.queries)}
        organize = {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": names}
        return {"transformations": [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]}


def _value(index: int, of: int) -> str:
    """Return what Grafana calls the value column of a query: it tells them apart only where there are several."""
    return f"Value #{ref(index)}" if of > 1 else "Value"
