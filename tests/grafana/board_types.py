"""A board as TypeScript constants that Grafana's published types must accept. Pure: text in, text out.

Grafana 12 and later refuse unknown keys and values; its own types know them without a server. Each part of a panel is
one constant, because only a literal given straight to a type is searched for keys the type does not know.
"""

import json
from collections.abc import Iterator
from typing import Any

# Panel type -> its schema's name, and whether it has field settings of its own ("custom").
PANELS = {
    "bargauge": ("BarGauge", False),
    "gauge": ("Gauge", False),
    "heatmap": ("Heatmap", True),
    "histogram": ("Histogram", True),
    "stat": ("Stat", False),
    "state-timeline": ("StateTimeline", True),
    "status-history": ("StatusHistory", True),
    "table": ("Table", True),
    "text": ("Text", False),
    "timeseries": ("TimeSeries", True),
}

# JSON has no enums: L<T> takes each by its value. PrometheusQuery and Annotation are the allow-list: the data source
# plugins declare these keys, in packages that cannot be installed without the rest of Grafana.
PRELUDE = """\
import type * as g from '@grafana/schema';
type L<T> = unknown extends T ? T : T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? L<U>[] : T extends object ? { [K in keyof T]: L<T[K]> } : T;
type PrometheusQuery = L<g.DataQuery> & { expr: string; legendFormat?: string; range?: boolean; instant?: boolean;
  format?: 'time_series' | 'table' | 'heatmap'; exemplar?: boolean; interval?: string; editorMode?: 'code' };
type Annotation = L<Omit<g.AnnotationQuery, 'target'>> & { expr?: string; titleFormat?: string; textFormat?: string;
  tagKeys?: string; step?: string; useValueForTime?: boolean;
  target?: { limit: number; matchAny: boolean; tags: string[]; type: 'tags' | 'dashboard' } };
"""


def typescript(board: dict[str, Any]) -> str:
    """Return a module that compiles if and only if Grafana's types know every key and value of the board."""
    lines = [PRELUDE]
    for kind in sorted({panel["type"] for panel in _shown(board)}):
        name, has_fields = PANELS[kind]
        module = f"@grafana/schema/dist/esm/raw/composable/{name.lower()}/panelcfg/x/{name}PanelCfg_types.gen"
        fields = f"FieldConfig as {name}Fields" if has_fields else ""
        lines.append(f"import type {{ Options as {name}Options, {fields} }} from '{module}';")
    for name, kind, value in _constants(board):
        lines.append(f"export const {name}: {kind} = {json.dumps(value, indent=1)};")
    return "\n".join(lines) + "\n"


def _shown(board: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [child for panel in board["panels"] for child in panel.get("panels", [])]
    return [panel for panel in board["panels"] + inner if panel["type"] != "row"]


def _constants(board: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    yield "board", "L<Omit<g.Dashboard, 'panels' | 'annotations'>>", _without(board, "panels", "annotations")
    yield "annotations", "Annotation[]", board["annotations"]["list"]
    for row in (panel for panel in board["panels"] if panel["type"] == "row"):
        yield f"row_{row['id']}", "L<g.RowPanel>", {**row, "panels": []}
    for panel in _shown(board):
        yield from _panel_constants(panel)


def _panel_constants(panel: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    name, has_fields = PANELS[panel["type"]]
    custom = f"Partial<L<{name}Fields>>" if has_fields else "Record<string, never>"
    fields = f"L<Omit<g.FieldConfig, 'custom'>> & {{ custom?: {custom} }}"
    config = panel.get("fieldConfig", {"defaults": {}, "overrides": []})
    here = f"panel_{panel['id']}"
    rest = _without(panel, "options", "targets", "fieldConfig")
    yield here, "L<Omit<g.Panel, 'options' | 'targets' | 'fieldConfig'>>", rest
    yield f"{here}_options", f"Partial<L<{name}Options>>", panel.get("options", {})
    yield f"{here}_queries", "PrometheusQuery[]", panel.get("targets", [])
    yield f"{here}_fields", fields, config["defaults"]
    for number, override in enumerate(config["overrides"]):
        yield f"{here}_override_{number}_matcher", "L<g.MatcherConfig>", override["matcher"]
        yield f"{here}_override_{number}", fields, _as_fields(override["properties"])


def _as_fields(properties: list[dict[str, Any]]) -> dict[str, Any]:
    """An override's list of (id, value) as the field settings they stand for, so that the same types judge both."""
    fields: dict[str, Any] = {}
    for item in properties:
        group, _, key = item["id"].rpartition(".")
        place = fields.setdefault(group, {}) if group else fields
        place[key] = item["value"]
    return fields


def _without(mapping: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}
