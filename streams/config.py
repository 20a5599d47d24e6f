"""The worker's settings, read once from the command line."""

from dataclasses import dataclass, field
from pathlib import Path

from collector.schema.errors import OperatorError
from collector.schema.topics import DEFAULT_PARTITIONS
from streams.processors.settings import AnalysisSettings

APP_ID = "burstwatch"
SERIES_MAX = 20_000
SERVICES_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What one worker process needs to know. Raises ``OperatorError`` if it cannot be.

    Attributes:
        kafka: bootstrap servers, ``host:port`` separated by commas.
        app_id: Kafka consumer group, and prefix of the changelog topic that holds the state.
        partitions: partitions of topics that do not exist yet; those that do keep what they have.
        metrics_host: where /metrics and /healthz are served; ``metrics_port`` 0 picks a free port.
        services_max: services one partition keeps apart; further ones share the state "other-<partition>" until
            one of them has been idle for an hour.
        series_max: series on /metrics; above, the window gauges of the services with the fewest arrivals are left
            out. Counters, burst, failure and pressure gauges stay.
        snapshot_interval_s: seconds between two snapshots of the state.
        data_dir: folder for scratch files; None for a temporary one. Nothing in it must survive.
    """

    kafka: str
    app_id: str = APP_ID
    partitions: int = DEFAULT_PARTITIONS
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    services_max: int = SERVICES_MAX
    series_max: int = SERIES_MAX
    snapshot_interval_s: float = 1.0
    data_dir: Path | None = None
    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)

    def __post_init__(self) -> None:
        for server in self.servers:
            host, _, port = server.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65_536:
                raise OperatorError(f"--kafka takes HOST:PORT (several separated by commas), not {server!r}")
        if not 1 <= self.partitions <= 10_000:
            raise OperatorError(f"--partitions must be 1 to 10000, not {self.partitions}")
        if not 0 <= self.metrics_port < 65_536:
            raise OperatorError(f"--metrics-port must be 0 to 65535, not {self.metrics_port}")
        if self.series_max < 0:
            raise OperatorError(f"--series-max must be at least 0, not {self.series_max}")
        if not 1 <= self.services_max <= 100_000:
            raise OperatorError(f"--services-max must be 1 to 100000, not {self.services_max}")
        if not 0.05 <= self.snapshot_interval_s <= 60:
            raise OperatorError(f"--snapshot-interval-s must be 0.05 to 60, not {self.snapshot_interval_s:g}")
        allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        if not 1 <= len(self.app_id) <= 200 or set(self.app_id) - allowed:
            raise OperatorError("--app-id must be 1 to 200 letters, digits, dots, dashes or underscores")

    @property
    def servers(self) -> list[str]:
        """The bootstrap servers, one by one."""
        return [server.strip() for server in self.kafka.split(",")]
