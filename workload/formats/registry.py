"""All formats by name, and which of them a file is. The only place that knows them all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from collector.schema.errors import BadTrace, OperatorError
from collector.schema.trace_profiles import PROFILES
from collector.schema.trace_rows import AZURE, BURSTGPT_6
from workload.formats import (
    aiperf,
    azure,
    bailian,
    burstgpt,
    dynamo,
    guidellm,
    mooncake,
    parquet,
    ragpulse,
    servegen,
    servegen_clients,
    sidecar,
    vllm_timed,
)
from workload.formats.format import Format
from workload.formats.reading import Reading, bounded_lines, open_lines
from workload.formats.record import Record
from workload.formats.values import json_object

FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        burstgpt.BURSTGPT_8_FORMAT,
        burstgpt.BURSTGPT_6_FORMAT,
        azure.FORMAT,
        mooncake.FORMAT,
        ragpulse.FORMAT,
        bailian.FORMAT,
        servegen.FORMAT,
        dynamo.FORMAT,
        vllm_timed.FORMAT,
        aiperf.FORMAT,
        guidellm.FORMAT,
        sidecar.FORMAT,
        parquet.FORMAT,
    )
}
TARGETS: dict[str, Format] = {**FORMATS, **{name: burstgpt.of_profile(p) for name, p in PROFILES.items()}}

_PARQUET = b"PAR1"
_PROBED = 50
_CSV_COLUMNS = (
    f"BurstGPT's columns would do ({', '.join(name for name in BURSTGPT_6 if name != 'Total tokens')}), "
    f"or Azure's ({', '.join(AZURE)}), or ServeGen's ({', '.join(servegen.HEADER)})"
)


def detect(path: Path) -> str:
    """Return the name of the format a file is in, judged by its first lines.

    Raises ``OperatorError`` for a file that cannot be read or is of no known format, saying what was found.
    """
    if path.is_dir():
        raise OperatorError(f"cannot read {path}: it is a folder; `burstwatch trace export` makes a trace of a capture")
    with open_lines(path) as file:
        if file.read(4) == _PARQUET:
            return parquet.FORMAT.name
        file.seek(0)
        lines = [line.decode("utf-8", "replace") for line in islice(bounded_lines(file), _PROBED)]
    texts = [text for line in lines if (text := line.removeprefix("\ufeff").strip())]
    if not texts:
        raise OperatorError(f"{path}: the file is empty; it has neither a header nor a row")
    name = _json_kind(texts) if texts[0].startswith("{") else _csv_kind(texts[0])
    if name in FORMATS:
        return name
    if name == servegen_clients.NAME:
        raise OperatorError(f"{path}: {servegen_clients.NO_REQUESTS}")
    raise OperatorError(f"{path}: {name}; known formats: {', '.join(FORMATS)} (--format NAME says which it is)")


def _csv_kind(first: str) -> str:
    names = {name.strip().strip('"') for name in first.split(",")}
    if set(AZURE) <= names:
        return azure.FORMAT.name
    if set(servegen.HEADER) <= names:
        return servegen.FORMAT.name
    if set(BURSTGPT_6) - {"Total tokens"} <= names:
        return (burstgpt.BURSTGPT_8_FORMAT if "Session ID" in names else burstgpt.BURSTGPT_6_FORMAT).name
    if servegen_clients.is_window(first):
        return servegen_clients.NAME
    return f"no known header: {first[:120]!r}; {_CSV_COLUMNS}"


def _json_kind(texts: list[str]) -> str:
    rows = [row for text in texts if (row := _object(text))]
    first = rows[0] if rows else {}
    for name, is_it in _JSON_KINDS:
        if is_it(first, rows):
            return name
    if servegen_clients.is_dataset(texts[0]):
        return servegen_clients.NAME
    if {"timestamp", "input_length"} <= first.keys():
        return "JSON lines whose timestamps may be seconds (guidellm-jsonl) or milliseconds (aiperf-mooncake)"
    return f"JSON lines with the keys {', '.join(map(str, list(first)[:8]))}" if first else "not JSON lines"


Rows = list[dict[str, Any]]


def _lengths(row: dict[str, Any]) -> bool:
    return {"timestamp", "input_length"} <= row.keys()


# The first whose test holds, by the first row and all that were probed.
_JSON_KINDS: tuple[tuple[str, Callable[[dict[str, Any], Rows], bool]], ...] = (
    (dynamo.FORMAT.name, lambda row, _: not {"schema", "event", "event_type"}.isdisjoint(row)),
    (sidecar.FORMAT.name, lambda row, _: "submitted_at" in row),
    (bailian.FORMAT.name, lambda row, _: "chat_id" in row),
    (
        ragpulse.FORMAT.name,
        lambda row, _: isinstance(row.get("timestamp"), str) or isinstance(row.get("hash_ids"), dict),
    ),
    (aiperf.FORMAT.name, lambda row, rows: _lengths(row) and any("session_id" in one for one in rows)),
    (guidellm.FORMAT.name, lambda row, _: _lengths(row) and "duration" in row),
    (vllm_timed.FORMAT.name, lambda row, rows: _lengths(row) and "hash_ids" in row and _small_blocks(rows)),
    (mooncake.FORMAT.name, lambda row, _: _lengths(row) and "hash_ids" in row),
)


def _small_blocks(rows: list[dict[str, Any]]) -> bool:
    """True if the ids are of vLLM's 16-token blocks: Mooncake's 512 would give fewer."""
    sizes = [(row.get("input_length"), row.get("hash_ids")) for row in rows]
    known = [(length, len(ids)) for length, ids in sizes if isinstance(length, int) and isinstance(ids, list)]
    fits = [sum(-(-length // size) == n for length, n in known) for size in (vllm_timed.BLOCK_TOKENS, 512)]
    return fits[0] > fits[1]


def _object(text: str) -> dict[str, Any] | None:
    try:
        return json_object(text)
    except ValueError:
        return None


@contextmanager
def open_records(path: Path, name: str | None, reading: Reading) -> Iterator[tuple[Format, Iterator[Record], Any]]:
    """Open a trace of the format ``name`` (None: detected) for reading row by row.

    Gives the format, its records in file order and the file under them (its ``tell`` is the progress; None for formats
    that are no lines). Raises ``OperatorError`` for a name that is not known and a file that is not what it should be.
    """
    name = name or detect(path)
    if name not in FORMATS:
        raise OperatorError(f"--format {name} is not known; known formats: {', '.join(FORMATS)}")
    form = FORMATS[name]
    try:
        if form.read_file is not None:
            yield form, form.read_file(path, reading), None
            return
        if form.read is None:
            raise OperatorError(f"{form.name} is only written, not read")
        with open_lines(path) as file:
            yield form, form.read(bounded_lines(file), reading), file
    except BadTrace as error:
        raise OperatorError(f"{path}: {error}") from None
