"""The `burstwatch` command: finds the part a verb belongs to, prints one line for an operator's mistake."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version

from burstwatch.lines import forget_reader, reader_has_gone
from collector.schema.errors import OperatorError

# verb -> ("module:function", help). Modules load when their verb is called: `agent` never pays for numpy.
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("burstwatch.up.cli:main", "everything on one machine, with live numbers on the screen"),
    "agent": ("collector.cli:main", "watch a serving node: sources -> disk spool -> Kafka"),
    "worker": ("streams.cli:main", "compute burstiness, failures and memory pressure; serve /metrics"),
    "capture": ("streams.capture.cli:main", "write live traffic to exactly-once trace segments"),
    "analyze": ("burstwatch.analyze.cli:main", "the live analysis over a trace file, offline"),
    "page": ("burstwatch.page.cli:main", "the live page: rate, bursts, memory and failures in a browser"),
    "windows": ("burstwatch.windows.cli:main", "what the workers say, as a live table or JSON lines"),
    "trace": ("burstwatch.verbs:trace_main", "trace files: export, verify, info, convert, analyze"),
    "engine": ("workload.engine.cli:main", "a simulated OpenAI-compatible engine with a bounded KV cache"),
    "replay": ("workload.replay.cli:main", "send a trace to an OpenAI-compatible server, on schedule"),
    "workload": ("burstwatch.verbs:workload_main", "the benchmark suite: fit, generate, bench"),
    "broker": ("burstwatch.broker.cli:main", "a single-node Kafka-protocol broker for one machine"),
    "dashboards": ("burstwatch.annotate.front:main", "boards and rules as code: push, annotate, rules, generate"),
}

# What pyproject.toml asks for, as it is imported; an agent-only install (requirements-agent.txt) has less.
DEPENDENCIES = frozenset({"aiohttp", "crc32c", "cramjam", "faust", "kafka", "lz4", "markdown_it", "mode", "numpy",
                          "orjson", "prometheus_client", "rich"})  # fmt: skip

USAGE = """usage: burstwatch COMMAND [options]

Sees bursts and failures of LLM services as they happen, and writes the trace down.

commands:
{commands}

  burstwatch COMMAND --help   teaches that command
  burstwatch --version
"""


def usage() -> str:
    """Return the overview printed by `burstwatch --help`."""
    lines = [f"  {name:<11} {text}" for name, (_, text) in COMMANDS.items()]
    return USAGE.format(commands="\n".join(lines))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 done, 1 failed while running, 2 the operator must act."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in {"-h", "--help", "help"}:
        print(usage())
        return 0 if args else 2
    if args[0] == "--version":
        print(f"burstwatch {version('burstwatch')}")
        return 0
    if args[0] not in COMMANDS:
        print(f"burstwatch: no command {args[0]!r}; `burstwatch --help` lists them", file=sys.stderr)
        return 2
    return _run(args[0], args[1:])


def _run(verb: str, rest: list[str]) -> int:
    module, _, function = COMMANDS[verb][0].partition(":")
    try:
        command: Callable[[list[str]], int] = getattr(import_module(module), function)
        return command(rest)
    except OperatorError as error:
        print(f"burstwatch {verb}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        if not reader_has_gone():
            raise  # another pipe's, a fault of ours
        return 0  # `| head` has seen enough
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in DEPENDENCIES:
            raise  # a fault of ours, to be seen whole
        print(
            f"burstwatch {verb}: the Python package {missing} is missing: an agent-only install has what `burstwatch "
            "agent` needs and no more; for the rest install without --no-deps (in a checkout: pip install .)",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        if reader_has_gone():
            forget_reader()


if __name__ == "__main__":
    sys.exit(main())
