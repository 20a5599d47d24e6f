"""Where a benchmark's result goes: the terminal, JSON, a page, a folder."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import orjson
from rich.console import Console

from collector.schema.errors import OperatorError
from workload.arguments import require_file
from workload.bench.result import Result
from workload.report.bench_text import bench_text
from workload.report.whole_files import write_whole

WIDTH_PIPED = 180  # a table of 15 columns is not broken for want of a terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Which files are wanted; text on stdout unless JSON goes there."""

    pages: tuple[Path, ...]
    jsons: tuple[Path, ...]
    json_to_stdout: bool

    @classmethod
    def of(cls, *, html: str | None, json: str | None, folder: str | None, read: Sequence[str] = ()) -> Self:
        """Return what the options ask for, found possible before minutes are spent measuring.

        Raises ``OperatorError`` if a page is wanted and matplotlib is not there, the folder cannot be made, or a file
        would overwrite one of ``read`` (what the load is made of) or another.
        """
        pages = [Path(html)] if html else []
        jsons = [Path(json)] if json and json != "-" else []
        if folder:
            try:
                Path(folder).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OperatorError(f"cannot make --out {folder}: {error.strerror or error}") from None
            jsons.append(Path(folder) / "bench.json")
            if _can_draw():
                pages.append(Path(folder) / "bench.html")
            else:
                sys.stderr.write("no bench.html: it needs matplotlib (pip install 'burstwatch[workload]')\n")
        if html and not _can_draw():
            raise OperatorError("--html needs matplotlib: pip install 'burstwatch[workload]'")
        if html == "-":
            raise OperatorError("--html needs a file; only --json takes - for stdout")
        taken = {Path(name).resolve(): name for name in read}
        for path in (*pages, *jsons):
            _check(path)
            if (place := path.resolve()) in taken:
                raise OperatorError(f"{path} would overwrite {taken[place]}: name another file")
            taken[place] = "another result"
        return cls(pages=tuple(pages), jsons=tuple(jsons), json_to_stdout=json == "-")

    def write(self, result: Result) -> None:
        """Write everything; the screen first, so that what was measured is never lost to a full disk."""
        text = orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode() + "\n"
        if self.json_to_stdout:
            sys.stdout.write(text)
        else:
            console = Console() if sys.stdout.isatty() else Console(width=WIDTH_PIPED)
            console.print(bench_text(result))
        for path in self.jsons:
            write_whole(path, text)
        if self.pages:
            from workload.report.bench_html import bench_page  # noqa: PLC0415 - matplotlib, of an extra

            page = bench_page(result)
            for path in self.pages:
                write_whole(path, page)


def _check(path: Path) -> None:
    """Raise ``OperatorError`` if ``path`` cannot be written, as far as that can be known without trying."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise OperatorError(f"cannot write {path}: there is no folder {folder}")
    if path.is_dir():
        raise OperatorError(f"cannot write {path}: it is a folder (--out takes one)")
    require_file(path, "the result to")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OperatorError(f"cannot write {path}: the folder {folder} may not be written")


def _can_draw() -> bool:
    return find_spec("matplotlib") is not None
