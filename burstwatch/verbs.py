"""`burstwatch trace VERB` and `burstwatch workload VERB`: find the part a verb belongs to."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

# verb -> ("module:function", help); a function takes what follows the verb.
Verbs = Mapping[str, tuple[str, str]]

TRACE: Verbs = {
    "export": ("streams.capture.export_cli:main", "captured segments -> a trace: CSV or Parquet, with manifest"),
    "verify": ("streams.capture.verify_cli:main", "prove a capture or an exported trace against its manifest"),
    "info": ("workload.formats.info_cli:main", "what is in a trace file or a capture folder, on one screen"),
    "convert": ("workload.formats.convert_cli:main", "from one trace format to another, telling what cannot be held"),
    "analyze": ("workload.report.analyze_cli:main", "the paper's analysis of a trace: text, --json, --html"),
}
INFO_OF_A_FOLDER = "streams.capture.info_cli:main"

WORKLOAD: Verbs = {
    "fit": ("workload.fit.cli:main", "a trace -> a readable model of it"),
    "generate": ("workload.generate.cli:main", "a model or a trace -> a trace of another rate, length, burstiness"),
    "bench": ("workload.bench.cli:main", "how burstiness turns into latency and failures on a server"),
}


def trace_main(argv: list[str]) -> int:
    """Run `burstwatch trace`. Returns its exit code, 2 for a verb that does not exist."""
    if argv and argv[0] == "info" and any(Path(word).is_dir() for word in argv[1:]):
        return _call(INFO_OF_A_FOLDER, argv[1:])
    return _run("trace", "Traces of LLM requests: what was captured, and files in any known format.", TRACE, argv)


def workload_main(argv: list[str]) -> int:
    """Run `burstwatch workload`. Returns its exit code, 2 for a verb that does not exist."""
    about = "Workloads: fitted to a trace, scaled to a system's size, and what they do to a server."
    return _run("workload", about, WORKLOAD, argv)


def _run(command: str, about: str, verbs: Verbs, argv: list[str]) -> int:
    if not argv or argv[0] in {"-h", "--help", "help"}:
        sys.stdout.write(_usage(command, about, verbs))
        return 0 if argv else 2
    if argv[0] not in verbs:
        sys.stderr.write(
            f"burstwatch {command}: no verb {argv[0]!r}; `burstwatch {command} --help` lists {', '.join(verbs)}\n"
        )
        return 2
    return _call(verbs[argv[0]][0], argv[1:])


def _call(place: str, rest: list[str]) -> int:
    module, _, function = place.partition(":")
    command: Callable[[list[str]], int] = getattr(import_module(module), function)
    return command(rest)


def _usage(command: str, about: str, verbs: Verbs) -> str:
    lines = "\n".join(f"  {name:<9} {text}" for name, (_, text) in verbs.items())
    return (
        f"usage: burstwatch {command} VERB [options]\n\n{about}\n\nverbs:\n{lines}\n\n"
        f"  burstwatch {command} VERB --help   teaches that verb\n"
    )
