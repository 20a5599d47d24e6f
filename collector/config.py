"""The agent's configuration: TOML in, frozen dataclasses out, every problem named at once.

Pure: takes the parsed TOML (and the folder that relative paths start from), reads no file and no environment.
"""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.config_fields import Fields
from collector.schema.codec import Encoding
from collector.schema.topics import DEFAULT_PARTITIONS

SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """``[agent]``: who it is, where its spool lies, how it batches. Sizes in bytes, times as named."""

    id: str
    node: str
    spool_dir: Path
    linger_ms: int
    batch_max: int
    encoding: Encoding
    spool_max_bytes: int
    spool_segment_bytes: int
    drain_s: float
    session_key_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConfig:
    """``[kafka]``: where the events go."""

    bootstrap_servers: str
    partitions: int
    replication_factor: int
    security_protocol: str
    sasl_mechanism: str | None
    sasl_username: str | None
    sasl_password_file: Path | None
    ssl_cafile: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceConfig:
    """A recorded trace, played as events at ``speed`` times its own pace (0: as fast as it can)."""

    name: str
    service: str
    path: Path
    speed: float
    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """A reverse proxy in front of an OpenAI-compatible server."""

    name: str
    service: str
    host: str
    port: int
    upstream: str
    session_header: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmConfig:
    """An engine whose ``/metrics`` is read every ``interval_s``."""

    name: str
    service: str | None
    url: str
    engine: str
    interval_s: float


SourceConfig = TraceConfig | ProxyConfig | VllmConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole file."""

    agent: AgentConfig
    kafka: KafkaConfig
    sources: tuple[SourceConfig, ...]


class ConfigProblems(Exception):  # noqa: N818 - it carries a list of problems
    """Everything that is wrong with a configuration.

    Attributes:
        problems: one line each, naming the key.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse_config(raw: Mapping[str, Any], base: Path) -> Config:
    """Return the configuration. Raises ``ConfigProblems`` with all that is wrong, never only the first."""
    problems: list[str] = []
    top = Fields(raw, "", problems, base)
    agent = _agent(top.table("agent"))
    kafka = _kafka(top.table("kafka"))
    sources = tuple(
        source for index, table in enumerate(top.tables("sources")) if (source := _source(table, index)) is not None
    )
    top.no_others()
    names = [source.name for source in sources]
    problems += [f"sources: name {name!r} is used twice" for name in sorted(set(names)) if names.count(name) > 1]
    if problems:
        raise ConfigProblems(problems)
    return Config(agent=agent, kafka=kafka, sources=sources)


def _agent(table: Fields) -> AgentConfig:
    host = socket.gethostname() or "localhost"
    most = table.whole("spool_max_bytes", 1024 * MIB, least=64 * 1024)
    agent = AgentConfig(
        id=table.token("id", host),
        node=table.token("node", host),
        spool_dir=table.path("spool_dir"),
        linger_ms=table.whole("linger_ms", 200, least=1, most=60_000),
        batch_max=table.whole("batch_max", 1_000, least=1, most=20_000),
        encoding=Encoding(table.choice("encoding", tuple(Encoding), Encoding.BINARY) or Encoding.BINARY),
        spool_max_bytes=most,
        spool_segment_bytes=table.whole("spool_segment_bytes", min(16 * MIB, most // 4), least=16 * 1024),
        drain_s=table.number("drain_s", 10.0, most=3600),
        session_key_days=table.number("session_key_days", 0.0, most=36_500),
    )
    if agent.spool_segment_bytes > most // 2:
        table.problem("spool_segment_bytes", "must be at most half of spool_max_bytes: only whole segments are freed")
    table.no_others()
    return agent


def _kafka(table: Fields) -> KafkaConfig:
    kafka = KafkaConfig(
        bootstrap_servers=table.servers("bootstrap_servers"),
        partitions=table.whole("partitions", DEFAULT_PARTITIONS, least=1, most=10_000),
        replication_factor=table.whole("replication_factor", 1, least=1, most=100),
        security_protocol=table.choice("security_protocol", SECURITY_PROTOCOLS, "PLAINTEXT") or "PLAINTEXT",
        sasl_mechanism=table.choice("sasl_mechanism", SASL_MECHANISMS, None),
        sasl_username=table.text("sasl_username", None),
        sasl_password_file=table.optional_path("sasl_password_file"),
        ssl_cafile=table.optional_path("ssl_cafile"),
    )
    sasl = kafka.security_protocol.startswith("SASL_")
    given = (kafka.sasl_mechanism, kafka.sasl_username, kafka.sasl_password_file)
    if sasl and None in given:
        table.problem("security_protocol", "SASL needs sasl_mechanism, sasl_username and sasl_password_file")
    if not sasl and any(value is not None for value in given):
        table.problem("security_protocol", "credentials are given, but the protocol would not use them: set SASL_SSL")
    table.no_others()
    return kafka


def _source(table: Fields, index: int) -> SourceConfig | None:
    kind = table.choice("type", tuple(_SOURCES), None)
    if kind is None:
        if not table.has("type"):
            table.problem("type", f"is missing; one of {', '.join(_SOURCES)}")
        return None
    source = _SOURCES[kind](table, f"{kind}-{index}")
    table.no_others()
    return source


def _trace(table: Fields, name: str) -> TraceConfig:
    return TraceConfig(
        name=table.token("name", name),
        service=table.token("service"),
        path=table.path("path"),
        speed=table.number("speed", 1.0, most=1e9),
        origin=table.origin("origin"),
    )


def _proxy(table: Fields, name: str) -> ProxyConfig:
    host, port = table.address("listen")
    return ProxyConfig(
        name=table.token("name", name),
        service=table.token("service"),
        host=host,
        port=port,
        upstream=table.url("upstream"),
        session_header=table.token("session_header", "x-session-id").lower(),
    )


def _vllm(table: Fields, name: str) -> VllmConfig:
    return VllmConfig(
        name=table.token("name", name),
        service=table.token("service") if table.has("service") else None,
        url=table.url("url"),
        engine=table.token("engine", "vllm"),
        interval_s=table.number("interval_s", 1.0, least=0.1, most=3600),
    )


_SOURCES: dict[str, Callable[[Fields, str], SourceConfig]] = {"trace": _trace, "proxy": _proxy, "vllm": _vllm}
