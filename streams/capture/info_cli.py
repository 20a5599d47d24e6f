"""`burstwatch trace info FOLDER`: what a capture folder holds, on one screen."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streams.capture.export_summary import completeness_lines, open_lines, removed_lines
from streams.capture.info import folder_info, privacy_of

_DESCRIPTION = """\
Tells what a capture folder holds: services, rows, time range, outcomes, models, segments, losses, completeness against
the engines' own counters, what retention removed. Reads the segments' last lines only, so it takes no time."""

_EXAMPLES = """\
examples:
  burstwatch trace info ./captured
  burstwatch trace info ./captured --privacy
  burstwatch trace info ./captured --json

`burstwatch trace verify ./captured` reads every byte and proves it."""

_SERVICES_SHOWN = 12
_NAMES_SHOWN = 4


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="burstwatch trace info",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="the --out folder of `burstwatch capture`")
    add("--privacy", action="store_true", help="also who could be identified by what; reads all rows")
    add("--json", action="store_true", help="print everything as JSON")
    return parser


def main(argv: list[str]) -> int:
    """Tell once. Returns 0."""
    args = _parser().parse_args(argv)
    facts = folder_info(args.folder)
    if args.privacy:
        facts["privacy"] = privacy_of(args.folder)
    sys.stdout.write((json.dumps(facts, indent=2) if args.json else screen(facts)) + "\n")
    return 0


def screen(facts: Mapping[str, Any]) -> str:
    """Return the facts as a few lines. Pure."""
    when, loss = facts["time_range"], facts["loss"]
    span = f"{when['first']} to {when['last']}" if when["first"] else "nothing yet"
    lines = [
        f"{facts['folder']}: {facts['rows']:,} completed requests, {span}",
        f"  segments     {facts['segments']:,} in {facts['partitions']} partitions, {facts['bytes'] / 1e6:,.1f} MB",
        *_services(facts["services"]),
        (
            f"  loss         {loss['missing_messages']:,} messages missing, {loss['dropped_events']:,} events dropped "
            f"by agents, {loss['messages_before_capture']:,} messages from before the capture"
        ),
    ]
    lines += [
        f"  hole         partition {hole['partition']}: offsets {hole['first']} to {hole['last']}"
        for hole in facts["offset_holes"]
    ]
    bad = facts["messages"]["undecodable"]
    lines += [f"  undecodable  {_names(bad, len(bad))}"] if bad else []
    open_now, damaged = facts["open_segments"], facts["damaged_files"]
    lines += [f"  open         {len(open_now)} segments, {sum(open_now.values()) / 1e6:,.1f} MB"] if open_now else []
    lines += [f"  set aside    {', '.join(damaged)}"] if damaged else []
    lines += [f"  in flight    {line}" for line in open_lines(facts["open_requests"])]
    lines += [f"  complete     {line}" for line in completeness_lines(facts["completeness"])]
    unknown = {found["why_unknown"] for found in facts["completeness"].values() if found["ratio"] is None}
    lines += [f"  complete?    {why}" for why in sorted(unknown)]
    lines += [f"  retention    {line}" for line in removed_lines(facts["removed_by_retention"])]
    if "privacy" in facts:
        lines += privacy_lines(facts["privacy"])
    return "\n".join(lines)


def _services(facts: Mapping[str, Any]) -> list[str]:
    lines = []
    shown = list(facts["by_name"].items())
    for service, found in shown[:_SERVICES_SHOWN]:
        lines.append(f"  service      {service}: {found['rows']:,} rows ({_names(found['by_outcome'], 3)})")
        if found["by_reason"]:
            lines.append(f"    reasons    {_names(found['by_reason'])}")
        if found["by_model"]:
            lines.append(f"    models     {_names(found['by_model'])}")
    if len(shown) > _SERVICES_SHOWN:
        lines.append(f"  services     and {len(shown) - _SERVICES_SHOWN:,} more; --json lists all")
    if facts["older_segments"]:
        lines.append(f"  services     of {facts['older_segments']:,} segments of an older version are not known here")
    return lines


def _names(counts: Mapping[str, int], most: int = _NAMES_SHOWN) -> str:
    items = sorted(counts.items(), key=lambda item: -item[1])
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return ", ".join(f"{n:,} {name}" for name, n in items[:most]) + more


def privacy_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the privacy report as lines. Pure."""
    lines = ["  who could be identified, by what:"]
    for column, found in report["columns"].items():
        alone = found.get("rows_alone", found.get("rows_alone_in_their_second"))
        rare = "" if alone is None else f" [{alone:,} rows stand alone among {found['values']:,} values]"
        todo = f"; {found['what_to_do']}" if found["what_to_do"] else ""
        lines.append(f"    {column}: {found['identifies']}{rare}{todo}")
    return [*lines, *(f"    advice: {text}" for text in report["advice"])]
