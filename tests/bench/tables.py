"""A benchmark's results: a table on the screen and the same rows as JSON under build/bench/, and what they cost.

Machines differ and are shared, so seconds mean little: every table has a yardstick measured in the same run, and
times are CPU times wherever one process does the work.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "bench"


@dataclass
class Table:
    """Rows of figures under one name; ``finish`` prints and writes them. ``note`` says what was measured how."""

    name: str
    note: str
    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, what: str, **figures: object) -> None:
        self.rows.append({"what": what, **figures})

    def finish(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        machine = {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_1m": round(os.getloadavg()[0], 2),
        }
        report = {"name": self.name, "note": self.note, "machine": machine, "rows": self.rows}
        (FOLDER / f"{self.name}.json").write_text(json.dumps(report, indent=1) + "\n")
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        lines = [columns, *([_cell(row.get(name)) for name in columns] for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
        print(f"\n\n== {self.name}: {self.note}")
        for line in lines:
            first, *others = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            print("  ".join([first.strip().ljust(widths[0]), *others]))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def best_cpu_s(calls: Sequence[Callable[[], object]], rounds: int = 5) -> list[float]:
    """CPU seconds of each call, the best of ``rounds``; each round measures all of them, so ratios are fair."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            began = time.process_time()
            call()
            best[i] = min(best[i], time.process_time() - began)
    return best


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used so far, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
