"""The user's own prompts: one a line, or JSONL as the usual data sets have it."""

from pathlib import Path
from typing import Any

import orjson

from collector.schema.errors import OperatorError

BYTES_MAX = 32 << 20
_FIELDS = ("prompt", "text", "content", "value", "input", "instruction", "question")


def read_prompts(path: str) -> list[str]:
    """Return the prompts of a file: a plain one a line, or JSONL.

    A JSON line may be a string, an object with one of the fields prompt, text, content, value, input, instruction or
    question, or one with a list ``messages`` or ``conversations`` (its first entry is the prompt). Empty lines are
    passed over. Raises ``OperatorError`` with the line for JSON without a prompt, and for a file without any.
    """
    file = Path(path)
    try:
        if file.stat().st_size > BYTES_MAX:
            raise OperatorError(f"--prompts {path} is larger than {BYTES_MAX >> 20} MiB; take a part of it")
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise OperatorError(f"cannot read --prompts {path}: {error.strerror or error}") from None
    json = file.suffix in {".jsonl", ".ndjson"}
    prompts = [_from_json(line, path, n) if json else line for n, line in enumerate(lines, 1) if line.strip()]
    prompts = [prompt for prompt in prompts if prompt.strip()]
    if not prompts:
        raise OperatorError(f"--prompts {path}: no prompt in it; one a line is wanted, or JSONL (.jsonl)")
    return prompts


def _from_json(line: str, path: str, number: int) -> str:
    try:
        said = _text(orjson.loads(line))
    except orjson.JSONDecodeError:
        raise OperatorError(f"--prompts {path}: line {number} is not JSON") from None
    if said is None:
        raise OperatorError(f"--prompts {path}: line {number} has no prompt; expected a field such as prompt or text")
    return said


def _text(value: Any) -> str | None:  # noqa: ANN401 - JSON as the file has it
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _text(value[0]) if value else None
    if not isinstance(value, dict):
        return None
    for name in ("messages", "conversations"):
        if name in value:
            return _text(value[name])
    return next((value[name] for name in _FIELDS if isinstance(value.get(name), str)), None)
