"""Kafka as the shipper sees it; the one file of the collector that imports kafka.

kafka-python 3 has traps this file is built around: an idempotent producer never recovers once a retried batch
has passed ``delivery_timeout_ms``, so nothing may ever pass it; nothing bounds its memory, so the caller bounds
what is in flight; constructor and ``send`` may block, so they are called only in the shipper, and only once the
broker has answered an admin request; a send that failed may be in the log all the same, so messages carry an
identity and are sent again.
"""

import logging
from collections.abc import Callable
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka import errors as kafka_errors

from collector.config import KafkaConfig
from collector.schema.codec import CONTENT_TYPES, MESSAGE_BYTES_MAX, Encoding, encoding_of
from collector.schema.errors import OperatorError
from collector.schema.events import SCHEMA_VERSION
from collector.schema.topics import TOPICS
from collector.spool.record import Message

log = logging.getLogger(__name__)

NEVER_MS = 10**9
REQUEST_TIMEOUT_MS = 10_000
_PROBE_TIMEOUT_MS = 5_000
_CLOSE_S = 2.0
_HEADERS = {
    encoding: [("schema", str(SCHEMA_VERSION).encode()), ("content-type", CONTENT_TYPES[encoding].encode())]
    for encoding in Encoding
}

# The broker will never take such a message; sending it again would block what is behind it for ever.
_PERMANENT = tuple(
    getattr(kafka_errors, name)
    for name in ("MessageSizeTooLargeError", "RecordListTooLargeError", "InvalidTimestampError", "InvalidRecordError")
    if hasattr(kafka_errors, name)
)

OnDone = Callable[[Exception | None], None]


class Unreachable(Exception):  # noqa: N818 - a state of the world, not an error of ours
    """No broker answers, or it refuses us, for now."""


def is_permanent(error: Exception) -> bool:
    """True if the broker will never take the message that failed with ``error``."""
    return isinstance(error, _PERMANENT)


def connection_settings(config: KafkaConfig) -> dict[str, Any]:
    """Return what any kafka-python client needs to connect. Raises ``OperatorError`` for an unreadable secret."""
    settings: dict[str, Any] = {
        "bootstrap_servers": config.bootstrap_servers.split(","),
        "security_protocol": config.security_protocol,
        "reconnect_backoff_max_ms": 1_000,
        "client_id": "burstwatch-agent",
    }
    if config.ssl_cafile is not None:
        settings["ssl_cafile"] = str(config.ssl_cafile)
    if config.sasl_mechanism is not None and config.sasl_password_file is not None:
        try:
            password = config.sasl_password_file.read_text("utf-8").strip()
        except OSError as error:
            raise OperatorError(f"kafka.sasl_password_file {config.sasl_password_file}: {error.strerror}") from None
        settings["sasl_mechanism"] = config.sasl_mechanism
        settings["sasl_plain_username"] = config.sasl_username
        settings["sasl_plain_password"] = password
    return settings


class KafkaSink:
    """A producer that can be thrown away and made anew. ``on_done`` callbacks come from another thread."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        self._settings = connection_settings(config)
        self._producer: KafkaProducer | None = None

    @property
    def connected(self) -> bool:
        """True while there is a producer to send with."""
        return self._producer is not None

    def connect(self) -> None:
        """Make the topics where they are missing, then a producer. Raises ``Unreachable``."""
        self.ensure_topics()
        try:
            self._producer = KafkaProducer(
                **self._settings,
                acks="all",
                enable_idempotence=True,
                compression_type="lz4",
                linger_ms=20,
                batch_size=256 * 1024,
                max_request_size=MESSAGE_BYTES_MAX,
                delivery_timeout_ms=NEVER_MS,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                max_block_ms=_PROBE_TIMEOUT_MS,
                bootstrap_timeout_ms=REQUEST_TIMEOUT_MS,
                metrics_enabled=False,
            )
        except (kafka_errors.KafkaError, OSError) as error:
            raise Unreachable(describe(error)) from None

    def ensure_topics(self) -> None:
        """Create the topics that do not exist. Raises ``Unreachable``."""
        admin = self._admin()
        try:
            known = set(admin.list_topics())
            missing = {
                topic.name: {
                    "num_partitions": self._config.partitions,
                    "replication_factor": self._config.replication_factor,
                    "configs": topic.configs,
                }
                for topic in TOPICS
                if topic.name not in known
            }
            if missing:
                admin.create_topics(missing)
                log.info("event=topics_created topics=%s", ",".join(missing))
        except kafka_errors.TopicAlreadyExistsError:
            pass  # somebody else was faster
        except (kafka_errors.KafkaError, OSError) as error:
            raise Unreachable(describe(error)) from None
        finally:
            _close(admin)

    def answers(self) -> bool:
        """True if a broker answers a fresh connection now."""
        try:
            admin = self._admin()
        except Unreachable:
            return False
        try:
            admin.list_topics()
        except (kafka_errors.KafkaError, OSError):
            return False
        finally:
            _close(admin)
        return True

    def send(self, message: Message, on_done: OnDone) -> None:
        """Send one message; ``on_done`` gets None or the error. Raises ``Unreachable`` if it could not be queued."""
        if self._producer is None:
            raise Unreachable("not connected")
        try:
            future = self._producer.send(
                message.topic,
                value=message.body,
                key=message.key.encode(),
                headers=_HEADERS[encoding_of(message.body)],
                timestamp_ms=message.at_ms,
            )
        except _PERMANENT as error:
            on_done(error)
            return
        except (kafka_errors.KafkaError, OSError) as error:
            raise Unreachable(describe(error)) from None
        future.add_callback(lambda _: on_done(None))
        future.add_errback(on_done)

    def close(self) -> None:
        """Throw the producer away; nothing un-acked is waited for."""
        producer, self._producer = self._producer, None
        if producer is not None:
            # close() alone gives up on what is un-acked and leaves the sending thread behind, alive and sending.
            producer._sender.force_close()  # noqa: SLF001 - there is no public way
            producer._sender.join(_CLOSE_S)  # noqa: SLF001 - same
            _close(producer, timeout=0)

    def _admin(self) -> KafkaAdminClient:
        try:
            return KafkaAdminClient(
                **self._settings, request_timeout_ms=_PROBE_TIMEOUT_MS, bootstrap_timeout_ms=_PROBE_TIMEOUT_MS
            )
        except (kafka_errors.KafkaError, OSError) as error:
            raise Unreachable(describe(error)) from None


def describe(error: Exception) -> str:
    """Return one bounded line without spaces at its ends."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _close(client: Any, **arguments: object) -> None:  # noqa: ANN401 - kafka-python has no types
    try:
        client.close(**arguments)
    except Exception as error:  # noqa: BLE001 - a client being thrown away may fail in any way
        log.info("event=kafka_close_failed error=%s", describe(error))
