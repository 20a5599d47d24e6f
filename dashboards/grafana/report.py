"""Outcomes of a push as lines for people and as JSON. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from dashboards.grafana.differences import ABSENT
from dashboards.push import CREATE, DELETE, LEFT, SAME, SURPLUS, UPDATE, Outcome

_CHANGES_SHOWN = 12
_DONE = {CREATE: "created", UPDATE: "updated", DELETE: "deleted", SAME: "unchanged", LEFT: LEFT, SURPLUS: SURPLUS}


def lines(outcome: Outcome, *, written: bool) -> Iterator[str]:
    """Yield an outcome as lines: what, which, why; then each place that changes, the first dozen of them."""
    word = _DONE[outcome.action] if written or not outcome.writes else f"would {outcome.action}"
    note = f"  ({outcome.note})" if outcome.note else ""
    yield f"{word:<13} {outcome.kind:<13} {outcome.uid}  {outcome.title}{note}"
    shown = outcome.changes[:_CHANGES_SHOWN]
    yield from (f"    {change.line()}" for change in shown)
    if more := len(outcome.changes) - len(shown):
        yield f"    and {more} more"


def summary(outcomes: Sequence[Outcome], *, written: bool) -> str:
    """Return the last line: how many of what; says so plainly if nothing had to change."""
    counts = Counter(outcome.action for outcome in outcomes)
    parts = [f"{counts[action]} {_DONE[action]}" for action in _DONE if counts[action]]
    if not any(outcome.writes for outcome in outcomes):
        return f"nothing to change: {', '.join(parts)}"
    return ", ".join(parts) if written else f"dry run, nothing was written; would be {', '.join(parts)}"


def as_json(outcome: Outcome, *, written: bool) -> dict[str, Any]:
    """Return an outcome as one JSON object; a side of a change that is not there is left out."""
    changes = [
        {"path": change.path}
        | ({} if change.found is ABSENT else {"found": change.found})
        | ({} if change.wanted is ABSENT else {"wanted": change.wanted})
        for change in outcome.changes
    ]
    return {
        "kind": outcome.kind,
        "uid": outcome.uid,
        "title": outcome.title,
        "action": outcome.action,
        "written": written and outcome.writes,
        "note": outcome.note,
        "changes": changes,
    }
