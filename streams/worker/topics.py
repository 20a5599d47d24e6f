"""Topics made before Faust starts, with their partitions. The stream side's only use of Kafka's admin API."""

import asyncio
import logging
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from collector.schema.codec import MESSAGE_BYTES_MAX
from collector.schema.errors import OperatorError
from collector.schema.topics import REQUESTS, TOPICS, Topic

log = logging.getLogger(__name__)

REPLICAS = 3  # where the cluster has so many brokers
CONNECT_S = 5.0
APPEAR_S = 10.0


def changelog_topic(app_id: str, table: str) -> Topic:
    """Return the topic Faust keeps ``table`` in: compacted for ever, never cut by time.

    A restart reads what compaction has not reached: Kafka's own segments of 1 GB a partition would make that minutes.
    """
    size = str(MESSAGE_BYTES_MAX)
    configs = {
        "cleanup.policy": "compact",
        "max.message.bytes": size,
        "segment.bytes": str(32 << 20),
        "min.cleanable.dirty.ratio": "0.2",
    }
    return Topic(f"{app_id}-{table}-changelog", configs)


async def prepare_topics(servers: list[str], changelog: Topic, partitions: int) -> int:
    """Create what is missing; return how many partitions llm.requests has.

    Raises ``OperatorError`` if no broker answers, or if the changelog does not have the same partitions.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=int(CONNECT_S * 1000))
    try:
        await asyncio.wait_for(admin.start(), CONNECT_S)
    except (KafkaError, OSError, TimeoutError) as error:
        await admin.close()
        raise OperatorError(
            f"no Kafka broker answers at {','.join(servers)}; start one (`burstwatch broker`) or check --kafka"
        ) from error
    try:
        have = await _counts(admin, [t.name for t in TOPICS])
        await _create(admin, [t for t in TOPICS if t.name not in have], partitions)
        source = (await _appeared(admin, [t.name for t in TOPICS]))[REQUESTS]
        if changelog.name not in await _counts(admin, [changelog.name]):
            await _create(admin, [changelog], source)
        kept = (await _appeared(admin, [changelog.name]))[changelog.name]
    except (KafkaError, TimeoutError) as error:
        raise OperatorError(f"Kafka did not let the worker prepare its topics: {error!r:.200}") from error
    finally:
        await admin.close()
    if kept != source:
        raise OperatorError(
            f"{REQUESTS} has {source} partitions but the state in {changelog.name} has {kept}: "
            "start with another --app-id (the state is rebuilt from what the log still holds)"
        )
    return source


async def _counts(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    # Asking for a topic by name may create it, with the broker's own number of partitions: list all instead.
    described = await admin.describe_topics()
    found = {t["topic"]: len(t["partitions"]) for t in described if not t["error_code"] and t["partitions"]}
    return {name: found[name] for name in names if name in found}


async def _create(admin: AIOKafkaAdminClient, topics: Iterable[Topic], partitions: int) -> None:
    brokers = len((await admin.describe_cluster())["brokers"])
    copies = min(REPLICAS, brokers)
    new = [NewTopic(t.name, partitions, copies, topic_configs=dict(t.configs)) for t in topics]
    if not new:
        return
    response = await admin.create_topics(new)
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"creating topic {name}")
        log.info("topic=%s partitions=%d created=%s", name, partitions, not code)


async def _appeared(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    async with asyncio.timeout(APPEAR_S):
        while len(have := await _counts(admin, names)) < len(names):  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.1)
    return have
