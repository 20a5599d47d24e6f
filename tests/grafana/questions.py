"""A board's queries as its variables stand when it is opened, asked of Prometheus without any of the page's code."""

import re

from tests.grafana.samples import STEP

RATE_INTERVAL = 4 * STEP  # Grafana's own rule for steps below it
VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


def filled_in(expr: str, board: dict, span_s: int) -> str:
    """The expression with Grafana's variables replaced: everything chosen, over ``span_s`` seconds."""
    values = {"__rate_interval": f"{RATE_INTERVAL}s", "__interval": f"{STEP}s", "__range": f"{span_s}s"}
    for variable in board["templating"]["list"]:
        chosen = variable.get("current", {}).get("value", "")
        values[variable["name"]] = variable.get("allValue", ".*") if "$__all" in chosen else chosen
    return VARIABLE.sub(lambda match: values[match[1] or match[2]], expr)
