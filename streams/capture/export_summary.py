"""What an export says when it is done, for people. Pure."""

from pathlib import Path
from typing import Any

from streams.capture.manifest import iso
from streams.capture.output import side_path

_LOW_BELOW = 0.95


def summary(out: Path, about: dict[str, Any]) -> str:
    """Return a few lines about one exported trace, from its manifest."""
    rows, loss, messages = about["rows"], about["loss"], about["messages"]
    outcomes = ", ".join(f"{n:,} {name}" for name, n in sorted(rows["by_outcome"].items())) or "no requests"
    when = about["time_range"]
    span = f"{when['first']} to {when['last']}" if when["first"] else "no time range"
    lines = [
        f"{out}: {rows['total']:,} rows ({outcomes}), {span}",
        (
            f"Timestamp counts from {about['origin']}; {messages['duplicates_dropped']:,} repeated messages dropped; "
            f"known loss: {loss['missing_messages']:,} messages missing, {loss['dropped_events']:,} events dropped "
            f"by agents"
        ),
        *left_out_lines(about),
        *open_lines(about["open_requests"]),
        *completeness_lines(about["completeness"]),
        *removed_lines(about["removed_by_retention"]),
        f"also: {side_path(out, '.sidecar.jsonl').name}, {side_path(out, '.manifest.json').name}",
    ]
    return "\n".join(lines)


def left_out_lines(about: dict[str, Any]) -> list[str]:
    """Return which rows a profile refused, as no or one line."""
    rows = about["rows"]
    if not rows["left_out"]:
        return []
    why = ", ".join(f"{n:,} {reason}" for reason, n in sorted(rows["left_out"].items()))
    return [f"profile {about['made_as']['profile']}: {rows['in_table']:,} rows in the table, left out: {why}"]


def open_lines(facts: dict[str, Any]) -> list[str]:
    """Return how many requests were open, as no or one line."""
    count = facts["count"]
    if not count:
        return []
    lost = sum(stream["open"] for stream in facts["streams"] if stream["agent_restarted_since"])
    about = "" if facts["exact"] else "about "
    gone = f" ({lost:,} of an agent's earlier run: they end no more)" if lost else ""
    return [f"{about}{count:,} requests were still open at the end of the capture{gone}"]


def completeness_lines(facts: dict[str, Any]) -> list[str]:
    """Return captured over counted and up to when, a line for each service whose engines were read.

    Where that is low, another says what it may mean.
    """
    lines = []
    for service, found in facts.items():
        if found["ratio"] is None:
            continue
        until = iso(max(engine["last_reading_us"] for engine in found["engines"]))
        lines.append(
            f"{service}: {found['captured_ok']:,} served requests captured, {found['counted_ok']:,} counted by its "
            f"engines ({found['ratio']:.2%}) until {until}"
        )
        if found["ratio"] < _LOW_BELOW:
            lines.append(
                f"{service}: below {_LOW_BELOW:.0%}, so requests reached its engines past the agents (health checks, "
                "other clients), or were lost on the way (see the losses), or its agents began later than the readings"
            )
    return lines


def removed_lines(facts: dict[str, Any]) -> list[str]:
    """Return what retention removed, as no or one line."""
    if not facts["segments"]:
        return []
    return [
        (
            f"removed by retention before: {facts['rows']:,} rows in {facts['segments']:,} segments, submitted "
            f"{facts['first_submitted']} to {facts['last_submitted']}"
        )
    ]
