"""Made traces onto disk or stdout, and their proofs for people and programs."""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from collector.schema.errors import OperatorError
from workload.formats.output import writing
from workload.generate.make import Made
from workload.scale.proof import Check, Proof
from workload.scale.sweep import DRAWS_MAX, NEAR
from workload.trace.columns import Trace
from workload.trace.write import write_trace

STDOUT = "-"
_PIECE_BYTES = 1 << 20


def busy(what: str) -> AbstractContextManager[object]:
    """Return a context in which a terminal shows that work goes on, and what; elsewhere nothing is shown."""
    return Console(stderr=True).status(f"{what} ...") if sys.stderr.isatty() else nullcontext()


def files_of(out: str, made: Sequence[Made]) -> list[Path | None]:
    """Return each trace's file; None is stdout. Those of a sweep have their CV in the name: trace-cv0.5.csv."""
    if out == STDOUT:
        return [None for _ in made]
    path = Path(out)
    if not path.name:
        raise OperatorError(f"cannot write --out {out}: it is a folder")
    if len(made) == 1:
        return [path]
    return [path.with_name(f"{path.stem}-cv{one.cv:g}{path.suffix}") for one in made]


def write_all(made: Sequence[Made], files: Sequence[Path | None]) -> None:
    """Write each trace whole or not at all. Raises ``OperatorError``; ends the command if stdout's reader has gone."""
    for one, file in zip(made, files, strict=True):
        if file is None:
            _to_stdout(one.trace)
        else:
            write_trace(one.trace, file)


def _to_stdout(trace: Trace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.csv"
        write_trace(trace, file)
        with file.open("rb") as read, writing(STDOUT) as write:
            while piece := read.read(_PIECE_BYTES):
                write(piece)


def report(made: Sequence[Made], files: Sequence[Path | None], seed: int) -> dict[str, object]:
    """Return all proofs as one tree for JSON."""
    traces = [
        {
            "file": None if file is None else str(file),
            **({} if one.cv is None else {"cv_target": one.cv, "draws": one.draws}),
            **one.proof.as_dict(),
            "warnings": list(one.warnings),
        }
        for one, file in zip(made, files, strict=True)
    ]
    return {"seed": seed, "bit_generator": "PCG64", "traces": traces}


def write_json(path: str, tree: object) -> None:
    """Write ``tree`` as JSON, whole or not at all. Raises ``OperatorError``."""
    target = Path(path)
    aside = target.with_name(f".{target.name}.part")
    try:
        try:
            aside.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise OperatorError(f"cannot write --proof {path}: {error.strerror or error}") from None


def tell(made: Sequence[Made], files: Sequence[Path | None]) -> None:
    """Print the proofs to stderr: a table for each trace, or one with a line for each of a sweep; then warnings."""
    console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 118)
    if len(made) > 1:
        console.print(_sweep_table(made, files))
        console.print(_DRAWN, markup=False, soft_wrap=True)
    else:
        console.print(_proof_table(made[0].proof))
        for words in _legend(made[0].proof):
            console.print(words, markup=False, soft_wrap=True)
    for one in made:
        for note in one.proof.notes if len(made) == 1 else ():
            console.print(f"note: {note}", markup=False)
        for warning in one.warnings:
            console.print(f"warning: {warning}", markup=False, soft_wrap=True)
    for one, file in zip(made, files, strict=True):
        if file is not None:
            console.print(f"wrote {one.proof.rows:,} requests to {file}", markup=False, soft_wrap=True)


def _proof_table(proof: Proof) -> Table:
    table = Table(
        title=f"{escape(proof.what)}: {proof.rows:,} requests in {proof.duration_s:g} s", title_justify="left"
    )
    table.add_column("what")
    for name in ("asked or source", "made", "95 % interval", "tolerance"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for check in proof.checks:
        table.add_row(*_cells(check))
    return table


def _cells(check: Check) -> Iterator[str]:
    yield escape(check.name)
    yield _number(check.target)
    yield _number(check.realised)
    known = check.lower is not None and check.upper is not None
    yield f"{_number(check.lower)} - {_number(check.upper)}" if known else ""
    yield _tolerance(check)
    yield _verdict(check)


def _tolerance(check: Check) -> str:
    if check.tolerance is None or check.ok is None:
        return ""
    told = f"{check.tolerance:.3f}" if check.name.startswith("KS") else f"{check.tolerance:.2%}"
    return f"{told} or interval" if check.or_interval else told


def _verdict(check: Check) -> str:
    if check.ok is None:
        return f"[dim]{_STATED if check.target is None or check.tolerance is None else _TOO_FEW}[/dim]"
    return "ok" if check.ok else "[bold red]differs[/bold red]"


def _legend(proof: Proof) -> Iterator[str]:
    """Yield what the words of the table mean, those that stand in it."""
    verdicts = {_verdict(check) for check in proof.checks}
    for word, meaning in _MEANINGS.items():
        if f"[dim]{word}[/dim]" in verdicts:
            yield f"{word}: {meaning}"
    if any(check.or_interval and check.ok is not None for check in proof.checks):
        yield "or interval: within it, or what was asked lies within chance of what was made"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


_STATED, _TOO_FEW = "stated", "too few"
_MEANINGS = {
    _STATED: "what came of it; there is nothing to hold it against (no such figure in the model, too short a source)",
    _TOO_FEW: "too few requests in the source or in what was made: chance would allow anything, so no verdict",
}
_DRAWN = (
    f"note: arrival times are drawn until the CV is within {NEAR:.0%} of the asked one, {DRAWS_MAX} times at most; "
    "what is shown is that of the trace that was kept, the nearest"
)
_SWEEP = ("rate_per_s", "cv", "alpha", "dispersion at 1 s", "dispersion at 10 s", "dispersion at 60 s")


def _sweep_table(made: Sequence[Made], files: Sequence[Path | None]) -> Table:
    first = made[0].proof
    table = Table(
        title=f"sweep: {first.rows:,} requests in {first.duration_s:g} s each, the same in the same order",
        title_justify="left",
    )
    for name in ("cv asked", "draws", "rate/s", "cv", "alpha", "IDC 1 s", "IDC 10 s", "IDC 60 s"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    table.add_column("file")
    for one, file in zip(made, files, strict=True):
        checks = {check.name: check for check in one.proof.checks}
        cells = [_number(checks[name].realised) for name in _SWEEP]
        wrong = [check.name for check in one.proof.checks if check.ok is False]
        verdict = "ok" if not wrong else f"[bold red]{escape(', '.join(wrong))}[/bold red]"
        table.add_row(f"{one.cv:g}", f"{one.draws}", *cells, verdict, escape(file.name) if file else "")
    return table
