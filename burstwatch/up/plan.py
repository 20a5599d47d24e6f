"""What `burstwatch up` runs for given options: pure, so that every mode can be tested without a process."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from burstwatch.up.processes import Part

BUILTIN_SEED = 1
BUILTIN_DURATION_S = 3600
OUTPUTS = ("trace.csv", "trace.sidecar.jsonl", "trace.manifest.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """The command line, checked.

    ``trace`` is load through the engine, ``events`` goes straight through the agent's trace source; at most one
    is set. ``speed`` 0 means as fast as possible (events only). ``duration_s`` None runs until the work ends or
    Ctrl-C.
    """

    out: Path
    trace: Path | None = None
    events: Path | None = None
    speed: float = 1.0
    upstream: str | None = None
    kafka: str | None = None
    duration_s: float | None = None
    service: str = "demo"
    origin: str | None = None
    proxy_port: int = 0
    metrics_port: int = 0
    page_port: int = 0
    seed: int = BUILTIN_SEED
    burst_warmup_s: int = 30

    @property
    def live(self) -> bool:
        """True if requests really flow (engine or upstream); False for recorded events."""
        return self.events is None

    @property
    def sends_load(self) -> bool:
        """True if `up` itself sends requests: a trace, or the built-in workload at its own engine."""
        return self.live and (self.trace is not None or self.upstream is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where one run keeps its things and which ports it uses."""

    state: Path
    run_id: str
    broker_port: int
    engine_port: int
    proxy_port: int
    metrics_port: int
    page_port: int
    capture_metrics_port: int = 0  # any free one

    @property
    def workload(self) -> Path:
        """The built-in workload's file."""
        return self.state / "workload.csv"

    @property
    def agent_config(self) -> Path:
        """The agent's configuration, written for this run."""
        return self.state / "agent.toml"

    @property
    def segments(self) -> Path:
        """Where capture writes."""
        return self.state / "segments"


def bootstrap_of(options: UpOptions, places: Places) -> str:
    """Return the Kafka address of this run: the user's, or the embedded broker's."""
    return options.kafka or f"127.0.0.1:{places.broker_port}"


def upstream_of(options: UpOptions, places: Places) -> str:
    """Return the engine's base URL: the user's, or the simulated engine's."""
    return (options.upstream or f"http://127.0.0.1:{places.engine_port}").rstrip("/")


def broker(options: UpOptions, places: Places) -> Part | None:
    """Return the embedded broker, or None where an existing Kafka is used."""
    if options.kafka:
        return None
    return Part("broker", ["broker", "--port", str(places.broker_port), "--data", str(places.state / "broker")])


def engine(options: UpOptions, places: Places) -> Part | None:
    """Return the simulated engine, or None where there is an upstream or only recorded events."""
    if options.upstream or not options.live:
        return None
    return Part("engine", ["engine", "--port", str(places.engine_port)])


def worker(options: UpOptions, places: Places) -> Part:
    """Return the stream worker."""
    args = ["worker", "--kafka", bootstrap_of(options, places), "--metrics-port", str(places.metrics_port)]
    args += ["--app-id", f"burstwatch-{places.run_id}", "--data-dir", str(places.state / "worker")]
    args += ["--burst-warmup-s", str(options.burst_warmup_s)]
    return Part("worker", args, ready_s=60.0)


def capture(options: UpOptions, places: Places) -> Part:
    """Return the capture process."""
    args = ["capture", "--kafka", bootstrap_of(options, places), "--out", str(places.segments)]
    args += ["--rotate-s", "10"]  # whatever happens to this machine, all but the last seconds can be exported
    args += ["--metrics-port", str(places.capture_metrics_port)]
    return Part("capture", [*args, "--group", f"burstwatch-capture-{places.run_id}"])


def page(options: UpOptions, places: Places) -> Part:
    """Return the live page."""
    return Part("page", ["page", "--kafka", bootstrap_of(options, places), "--port", str(places.page_port)])


def agent(places: Places) -> Part:
    """Return the agent; its configuration file must have been written."""
    return Part("agent", ["agent", "-c", str(places.agent_config)])


def agent_config(options: UpOptions, places: Places) -> str:
    """Return the agent's TOML for this run."""
    lines = [
        "# Written by `burstwatch up` for this run.",
        "[agent]",
        f"id = {_text(f'up-{places.run_id}')}",
        f"spool_dir = {_text(str(places.state / 'spool'))}",
        "",
        "[kafka]",
        f"bootstrap_servers = {_text(bootstrap_of(options, places))}",
        "",
    ]
    return "\n".join(lines + _sources(options, places)) + "\n"


def _sources(options: UpOptions, places: Places) -> list[str]:
    service = f"service = {_text(options.service)}"
    if options.events is not None:
        lines = ["[[sources]]", 'type = "trace"', service, f"path = {_text(str(options.events.resolve()))}"]
        lines.append(f"speed = {options.speed}")
        return [*lines, f"origin = {_text(options.origin)}"] if options.origin else lines
    upstream = upstream_of(options, places)
    return [
        "[[sources]]",
        'type = "proxy"',
        service,
        f'listen = "127.0.0.1:{places.proxy_port}"',
        f"upstream = {_text(upstream)}",
        "",
        "[[sources]]",
        'type = "vllm"',
        service,
        f"url = {_text(upstream + '/metrics')}",
    ]


def replay(options: UpOptions, places: Places) -> Part:
    """Return the load: the user's trace, or the built-in workload, through the agent's proxy."""
    trace = options.trace or places.workload
    args = ["replay", str(trace), "--url", f"http://127.0.0.1:{places.proxy_port}/v1", "--no-progress"]
    args += ["--speed", f"{options.speed:g}", "--json", str(places.state / "replay.json")]
    return Part("replay", args)


def export_args(options: UpOptions, places: Places) -> list[str]:
    """Return the `burstwatch trace` arguments that turn this run's segments into OUT/trace.csv."""
    args = ["export", str(places.segments), "--out", str(options.out / "trace.csv")]
    args += ["--agent", f"up-{places.run_id}"]
    return [*args, "--origin", options.origin] if options.origin and options.origin != "now" else args


def generate_args(options: UpOptions, places: Places) -> list[str]:
    """Return the `burstwatch workload` arguments that write the built-in workload."""
    duration_s = BUILTIN_DURATION_S
    if options.duration_s is not None:
        duration_s = min(BUILTIN_DURATION_S, max(60, int(options.duration_s * options.speed) + 1))
    args = ["generate", "--seed", str(options.seed), "--duration-s", str(duration_s)]
    return [*args, "--out", str(places.workload)]


def moved_aside(names: Sequence[str]) -> list[str]:
    """Return which of the output directory's entries belong to an earlier run and are moved to ``previous/``.

    A ``trace.csv`` beside neither ``state`` nor a manifest is not ours; export replaces it, nothing else may.
    """
    if not {"state", "trace.manifest.json"} & set(names):
        return []
    return [name for name in names if name == "state" or name in OUTPUTS]


def _text(value: str) -> str:
    return json.dumps(value)  # a JSON string is a TOML basic string
