"""The cluster and its topics: ApiVersions is in wire.py, the rest of what an admin client asks is here."""

from burstwatch.broker import topic_configs
from burstwatch.broker.call import CLUSTER_ID, NODE_ID, Broker, Call, Decoded, Fields, attempt
from burstwatch.broker.codes import Code, Refused

_TOPIC = 2  # the resource type; brokers (4) have no configs here
_DEFAULT_PARTITIONS = 1
_SET_BY_TOPIC, _DEFAULT = 1, 5  # config sources
_SET, _DELETE = 0, 1  # operations of IncrementalAlterConfigs


def metadata(broker: Broker, call: Call) -> Fields:
    """Describe topics. Topics are never created on the side: a name mistyped once would live for ever."""
    asked = call.request.topics
    is_everything = asked is None or (call.version == 0 and not asked)
    names = list(broker.store.topics()) if is_everything else [topic.name for topic in asked]
    return {
        "brokers": [{"node_id": NODE_ID, "host": call.host, "port": call.port, "rack": None}],
        "cluster_id": CLUSTER_ID,
        "controller_id": NODE_ID,
        "topics": [_topic_metadata(broker, name) for name in names],
    }


def describe_cluster(_broker: Broker, call: Call) -> Fields:
    """Describe the one node."""
    return {
        "error_message": None,
        "endpoint_type": 1,
        "cluster_id": CLUSTER_ID,
        "controller_id": NODE_ID,
        "brokers": [{"broker_id": NODE_ID, "host": call.host, "port": call.port, "rack": None}],
    }


def create_topics(broker: Broker, call: Call) -> Fields:
    """Create topics, each with its answer."""

    def create(topic: Decoded) -> Fields:
        partitions = topic.num_partitions if topic.num_partitions != -1 else _DEFAULT_PARTITIONS
        replicas = topic.replication_factor
        if topic.assignments:
            partitions, replicas = len(topic.assignments), max(len(a.broker_ids) for a in topic.assignments)
        if replicas not in {-1, 1}:
            raise Refused(Code.INVALID_REPLICATION_FACTOR, "one broker: the replication factor is 1")
        configs = {config.name: config.value for config in topic.configs if config.value is not None}
        broker.store.create_topic(topic.name, partitions, configs, dry_run=call.request.validate_only)
        return {"num_partitions": partitions, "replication_factor": 1}

    unknown = {"num_partitions": -1, "replication_factor": -1}
    return {"topics": [{"name": t.name} | unknown | attempt(create, t) for t in call.request.topics]}


def delete_topics(broker: Broker, call: Call) -> Fields:
    """Delete topics with their records."""
    delete = broker.store.delete_topic
    return {"responses": [{"name": name} | attempt(delete, name) for name in call.request.topic_names]}


def create_partitions(broker: Broker, call: Call) -> Fields:
    """Give topics more partitions."""

    def grow(topic: Decoded) -> None:
        broker.store.add_partitions(topic.name, topic.count, dry_run=call.request.validate_only)

    return {"results": [{"name": topic.name} | attempt(grow, topic) for topic in call.request.topics]}


def describe_configs(broker: Broker, call: Call) -> Fields:
    """Describe topics' configs, own and default ones."""

    def describe(resource: Decoded) -> Fields:
        if resource.resource_type != _TOPIC:
            return {"configs": []}
        own = _own_configs(broker, resource)
        wanted = set(resource.configuration_keys or topic_configs.ALL)
        return {"configs": [_config(n, v, own) for n, v in (topic_configs.ALL | own).items() if n in wanted]}

    return {"results": [_resource(r) | attempt(describe, r) for r in call.request.resources]}


def alter_configs(broker: Broker, call: Call) -> Fields:
    """Replace topics' own configs (the older request)."""

    def replace(resource: Decoded) -> None:
        _own_configs(broker, resource)
        configs = {config.name: config.value for config in resource.configs if config.value is not None}
        broker.store.set_configs(resource.resource_name, configs, dry_run=call.request.validate_only)

    return {"responses": [_resource(r) | attempt(replace, r) for r in call.request.resources]}


def incremental_alter_configs(broker: Broker, call: Call) -> Fields:
    """Set and unset single configs of topics."""

    def alter(resource: Decoded) -> None:
        configs = dict(_own_configs(broker, resource))
        for config in resource.configs:
            if config.config_operation == _SET:
                configs[config.name] = config.value or ""
            elif config.config_operation == _DELETE:
                configs.pop(config.name, None)
            else:
                raise Refused(Code.INVALID_CONFIG, "configs can be set and deleted, not appended to")
        broker.store.set_configs(resource.resource_name, configs, dry_run=call.request.validate_only)

    return {"responses": [_resource(r) | attempt(alter, r) for r in call.request.resources]}


def _topic_metadata(broker: Broker, name: str) -> Fields:
    logs = broker.store.topics().get(name)
    if logs is None:
        return {"error_code": Code.UNKNOWN_TOPIC_OR_PARTITION, "name": name, "partitions": []}
    one = {"leader_id": NODE_ID, "leader_epoch": 0, "replica_nodes": [NODE_ID], "isr_nodes": [NODE_ID]}
    return {"name": name, "partitions": [one | {"partition_index": i} for i in range(len(logs))]}


def _own_configs(broker: Broker, resource: Decoded) -> dict[str, str]:
    if resource.resource_type != _TOPIC:
        raise Refused(Code.INVALID_REQUEST, "only topics have configs here")
    broker.store.log(resource.resource_name, 0)
    return broker.store.catalogue.topics[resource.resource_name].configs


def _resource(resource: Decoded) -> Fields:
    return {"resource_type": resource.resource_type, "resource_name": resource.resource_name}


def _config(name: str, value: str, own: dict[str, str]) -> Fields:
    source = _SET_BY_TOPIC if name in own else _DEFAULT
    return {"name": name, "value": value, "config_source": source, "is_default": name not in own, "synonyms": []}
