"""Conformance: topics and their configs, and what the cluster says of itself."""

import pytest
from kafka import KafkaAdminClient, KafkaProducer, errors
from kafka.admin import ConfigResource, ConfigResourceType

from tests.support.broker import await_partitions, create_topic, unique
from tests.support.kafka_clients import wait_for
from tests.support.kafka_wire import Wire, batch, keyed_batch

pytestmark = pytest.mark.kafka


@pytest.fixture
def admin(kafka: str):
    client = KafkaAdminClient(bootstrap_servers=kafka)
    yield client
    client.close()


def partitions_of(admin: KafkaAdminClient, topic: str) -> int:
    [found] = admin.describe_topics([topic])
    return len(found["partitions"])


def configs_of(admin: KafkaAdminClient, topic: str) -> dict[str, str]:
    """All configs, defaults included, as the wire has them (the client's own call shows only what was set)."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    found = admin.describe_configs([resource], config_filter="all")["topic"][topic]
    return {name: config["value"] for name, config in found.items()}


def test_a_topic_has_the_partitions_and_configs_it_was_created_with(kafka: str, admin: KafkaAdminClient):
    topic = create_topic(kafka, partitions=6, configs={"cleanup.policy": "compact", "retention.ms": "60000"})
    assert topic in {t if isinstance(t, str) else t["name"] for t in admin.list_topics()}
    assert partitions_of(admin, topic) == 6
    configs = configs_of(admin, topic)
    assert ("compact", "60000") == (configs["cleanup.policy"], configs["retention.ms"])
    assert ("1048588", "CreateTime") == (configs["max.message.bytes"], configs["message.timestamp.type"])


@pytest.mark.parametrize(
    ("name", "wanted", "error"),
    [
        ("bad name!", {}, errors.InvalidTopicError),
        ("..", {}, errors.InvalidTopicError),
        ("x" * 250, {}, errors.InvalidTopicError),
        ("", {"replication_factor": 3}, errors.InvalidReplicationFactorError),
        ("", {"num_partitions": 0}, errors.InvalidPartitionsError),
        ("", {"configs": {"no.such.config": "1"}}, errors.InvalidConfigurationError),
        ("", {"configs": {"retention.ms": "soon"}}, errors.InvalidConfigurationError),
        ("", {"configs": {"cleanup.policy": "burn"}}, errors.InvalidConfigurationError),
    ],
)
def test_a_topic_that_cannot_be_is_refused_with_the_reason(
    admin: KafkaAdminClient, name: str, wanted: dict, error: type
):
    topic = name or unique("refused")
    with pytest.raises(error):
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1} | wanted})
    assert topic not in {t if isinstance(t, str) else t["name"] for t in admin.list_topics()}


def test_a_topic_is_created_once_and_not_at_all_when_only_asked_about(kafka: str, admin: KafkaAdminClient):
    topic, wanted = create_topic(kafka), {"num_partitions": 1, "replication_factor": 1}
    with pytest.raises(errors.TopicAlreadyExistsError):
        admin.create_topics({topic: wanted})
    only_asked = unique("asked")
    admin.create_topics({only_asked: wanted}, validate_only=True)
    assert only_asked not in {t if isinstance(t, str) else t["name"] for t in admin.list_topics()}


def test_configs_can_be_changed_and_take_effect(kafka: str, admin: KafkaAdminClient):
    topic = create_topic(kafka, configs={"retention.ms": "60000"})
    changed = {"max.message.bytes": "2000"}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=changed)])
    configs = wait_for(lambda: (c := configs_of(admin, topic))["max.message.bytes"] == "2000" and c, "the new config")
    assert configs["retention.ms"] == "60000"
    with Wire(kafka) as wire:
        wait_for(lambda: wire.produce(topic, batch(b"x" * 3000)).error_code == 10, "the limit in effect")


def test_a_topic_gets_more_partitions_but_never_fewer(kafka: str, admin: KafkaAdminClient):
    topic = create_topic(kafka, partitions=2)
    admin.create_partitions({topic: 5})
    await_partitions(kafka, topic, 5)
    assert partitions_of(admin, topic) == 5
    with Wire(kafka) as wire:
        assert wire.produce(topic, batch(b"x"), partition=4).error_code == 0
    with pytest.raises(errors.InvalidPartitionsError):
        admin.create_partitions({topic: 3})


def test_a_deleted_topic_is_gone_and_one_of_its_name_starts_empty(kafka: str, admin: KafkaAdminClient):
    topic = create_topic(kafka)
    with Wire(kafka) as wire:
        wire.produce(topic, batch(b"old"))
        admin.delete_topics([topic])
        wait_for(lambda: wire.fetch(topic, 0).error_code == 3, "the topic gone")
        create_topic(kafka, name=topic)
        wait_for(lambda: wire.fetch(topic, 0).error_code == 0, "the topic back")
        assert wire.produce(topic, batch(b"new")).base_offset == 0
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        admin.delete_topics([unique("never-was")])


def test_a_topic_nobody_created_is_not_made_on_the_side(kafka: str, admin: KafkaAdminClient):
    topic = unique("mistyped")
    sender = KafkaProducer(bootstrap_servers=kafka, max_block_ms=700)
    with pytest.raises(errors.KafkaError):
        sender.send(topic, b"x").get(5)
    sender.close()
    assert topic not in {t if isinstance(t, str) else t["name"] for t in admin.list_topics()}


def test_a_compacted_topic_takes_no_record_without_a_key(kafka: str):
    topic = create_topic(kafka, configs={"cleanup.policy": "compact"})
    with Wire(kafka) as wire:
        assert wire.produce(topic, keyed_batch((b"k", b"v"), (None, b"v"))).error_code == 87
        for compression in (0, 1, 2, 3, 4):
            records = keyed_batch((b"k", b"v"), (b"k", None), compression=compression)
            assert wire.produce(topic, records).error_code == 0


def test_the_cluster_names_one_broker_at_the_address_we_used(kafka: str, admin: KafkaAdminClient):
    cluster = admin.describe_cluster()
    [broker] = cluster["brokers"]
    assert kafka == f"{broker['host']}:{broker['port']}"
    assert cluster["cluster_id"]
    with Wire(kafka) as wire:
        answer = wire.ask("Metadata", 5, topics=[], allow_auto_topic_creation=False)
    assert [(broker["broker_id"], broker["host"], broker["port"])] == [
        (b.node_id, b.host, b.port) for b in answer.brokers
    ]


def test_a_version_of_apiversions_that_does_not_exist_yet_is_answered_with_what_does(kafka: str):
    import struct

    with Wire(kafka) as wire:
        header = struct.pack(">hhih4s", 18, 99, 7, 4, b"wire") + b"\0"
        wire.socket.sendall(struct.pack(">i", len(header)) + header)
        answer = wire.receive("ApiVersions", 0)
    assert answer.error_code == 35
    offered = {api.api_key: (api.min_version, api.max_version) for api in answer.api_keys}
    assert offered[18][1] >= 3
