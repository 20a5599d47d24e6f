"""Consumer groups: members, offsets, and what an admin client asks about them."""

import asyncio
import time

from burstwatch.broker.call import NODE_ID, Broker, Call, Decoded, Fields, attempt, by_topic, refuse_transactions
from burstwatch.broker.catalogue import Committed
from burstwatch.broker.codes import Code, Refused
from burstwatch.broker.coordinator import answer_into
from burstwatch.broker.group import Group, Joined, JoinRequest, State, Synced

_TRANSACTION = 1  # key type of FindCoordinator
_LONGEST_SESSION_MS = 1_800_000  # Kafka's group.max.session.timeout.ms
_NOWHERE = Committed(-1, "", 0)


def find_coordinator(_broker: Broker, call: Call) -> Fields:
    """Name this node: there is no other."""
    if call.request.key_type == _TRANSACTION:
        refused = attempt(refuse_transactions, call.request.key or "?")
        return {"node_id": -1, "host": "", "port": -1} | refused
    return {"error_message": None, "node_id": NODE_ID, "host": call.host, "port": call.port}


async def join_group(broker: Broker, call: Call) -> Fields:
    """Take a member in; the answer comes when all members have joined, or had the time to."""
    request = call.request
    if not request.group_id:
        return {"error_code": Code.INVALID_GROUP_ID, "member_id": request.member_id}
    if not 0 < request.session_timeout_ms <= _LONGEST_SESSION_MS:
        return {"error_code": Code.INVALID_SESSION_TIMEOUT, "member_id": request.member_id}
    group = broker.coordinator.group(request.group_id)
    future: asyncio.Future[Joined] = asyncio.get_running_loop().create_future()
    group.join(_join_request(call), broker.coordinator.now(), answer_into(future))
    broker.coordinator.keep(group)
    joined = await future
    members = [dict(zip(("member_id", "group_instance_id", "metadata"), m, strict=True)) for m in joined.members]
    return {
        "error_code": joined.code,
        "generation_id": joined.generation,
        "protocol_type": group.protocol_type,
        "protocol_name": joined.protocol,
        "leader": joined.leader,
        "member_id": joined.member_id,
        "members": members,
    }


async def sync_group(broker: Broker, call: Call) -> Fields:
    """Hand a member its assignment when the leader has sent it."""
    request, group = call.request, broker.coordinator.group(call.request.group_id)
    future: asyncio.Future[Synced] = asyncio.get_running_loop().create_future()
    group.sync(
        request.member_id,
        request.generation_id,
        {a.member_id: bytes(a.assignment) for a in request.assignments},
        now=broker.coordinator.now(),
        answer=answer_into(future),
    )
    broker.coordinator.keep(group)
    synced = await future
    return {"error_code": synced.code, "assignment": synced.assignment}


def heartbeat(broker: Broker, call: Call) -> Fields:
    """Keep a member's session alive and tell it of a rebalance."""
    request, group = call.request, broker.coordinator.group(call.request.group_id)
    code = group.check(request.member_id, request.generation_id, request.group_instance_id)
    if code is Code.NONE:
        code = group.heartbeat(request.member_id, request.generation_id, broker.coordinator.now())
        broker.coordinator.keep(group)
    return {"error_code": code}


def leave_group(broker: Broker, call: Call) -> Fields:
    """Put members out at their own (or an admin's) wish."""
    request, group = call.request, broker.coordinator.group(call.request.group_id)
    leaving = [(request.member_id, None)] if call.version < 3 else [
        (m.member_id or group.member_of(m.group_instance_id), m.group_instance_id) for m in request.members
    ]  # fmt: skip
    now = broker.coordinator.now()
    members = [
        {"member_id": name, "group_instance_id": instance, "error_code": group.leave(name, now)}
        for name, instance in leaving
    ]
    broker.coordinator.keep(group)
    return {"error_code": members[0]["error_code"] if call.version < 3 else 0, "members": members}


def offset_commit(broker: Broker, call: Call) -> Fields:
    """Keep a group's positions; when the answer leaves they are on disk."""
    request, group = call.request, broker.coordinator.group(call.request.group_id)
    code = _may_commit(broker, group, request)
    accepted: list[tuple[str, int, int, str]] = []

    def accept(topic: str, partition: Decoded) -> Fields:
        if code is not Code.NONE:
            raise Refused(code, "not a member of this generation")
        broker.store.log(topic, partition.partition_index)
        note = partition.committed_metadata or ""
        accepted.append((topic, partition.partition_index, partition.committed_offset, note))
        return {}

    topics = by_topic(request.topics, accept)
    if accepted:
        broker.store.catalogue.commit(request.group_id, accepted, int(time.time() * 1000))
    return {"topics": topics}


def offset_fetch(broker: Broker, call: Call) -> Fields:
    """Return a group's positions; -1 where it has none."""
    known = broker.store.catalogue.offsets.get(call.request.group_id, {})
    wanted: dict[str, list[int]] = {}
    if call.request.topics is None:
        for topic, partition in known:
            wanted.setdefault(topic, []).append(partition)
    else:
        wanted = {topic.name: topic.partition_indexes for topic in call.request.topics}
    return {
        "topics": [
            {"name": name, "partitions": [_position(known.get((name, i), _NOWHERE), i) for i in partitions]}
            for name, partitions in wanted.items()
        ]
    }


def list_groups(broker: Broker, _call: Call) -> Fields:
    """List groups with members or with offsets."""
    names = dict.fromkeys([*broker.coordinator.groups, *broker.store.catalogue.offsets])
    groups = [(name, broker.coordinator.group(name)) for name in names]
    return {"groups": [{"group_id": name, "protocol_type": group.protocol_type} for name, group in groups]}


def describe_groups(broker: Broker, call: Call) -> Fields:
    """Describe groups and their members; a group nobody knows is Dead, as in Kafka."""
    return {"groups": [_described(broker, name) for name in call.request.groups]}


def delete_groups(broker: Broker, call: Call) -> Fields:
    """Forget groups without members."""

    def delete(name: str) -> None:
        if broker.coordinator.group(name).members:
            raise Refused(Code.NON_EMPTY_GROUP, f"group {name} has members")
        if name not in broker.store.catalogue.offsets:
            raise Refused(Code.GROUP_ID_NOT_FOUND, f"no group {name}")
        broker.store.catalogue.delete_group(name)

    names = call.request.groups_names
    return {"results": [{"group_id": name} | attempt(delete, name) for name in names]}


def _join_request(call: Call) -> JoinRequest:
    request = call.request
    rebalance_ms = request.rebalance_timeout_ms if request.rebalance_timeout_ms > 0 else request.session_timeout_ms
    return JoinRequest(
        member_id=request.member_id,
        instance_id=request.group_instance_id,
        client_id=call.client_id,
        protocol_type=request.protocol_type,
        protocols={protocol.name: bytes(protocol.metadata) for protocol in request.protocols},
        session_s=request.session_timeout_ms / 1000,
        rebalance_s=rebalance_ms / 1000,
        must_know_id=call.version >= 4,
    )


def _may_commit(broker: Broker, group: Group, request: Decoded) -> Code:
    generation = request.generation_id_or_member_epoch
    if generation < 0 and not group.members:
        return Code.NONE  # a consumer that assigns its partitions itself
    code = group.check(request.member_id, generation, request.group_instance_id)
    if code is Code.NONE:
        if group.state is State.COMPLETING:
            return Code.REBALANCE_IN_PROGRESS
        group.heartbeat(request.member_id, generation, broker.coordinator.now())
        broker.coordinator.keep(group)
    return code


def _position(committed: Committed, partition: int) -> Fields:
    return {
        "partition_index": partition,
        "committed_offset": committed.offset,
        "committed_leader_epoch": -1,
        "metadata": committed.metadata,
    }


def _described(broker: Broker, name: str) -> Fields:
    group = broker.coordinator.group(name)
    is_known = group.members or name in broker.store.catalogue.offsets
    members = [
        {
            "member_id": member_id,
            "group_instance_id": member.request.instance_id,
            "client_id": member.request.client_id,
            "client_host": "/127.0.0.1",
            "member_metadata": member.request.protocols.get(group.protocol, b""),
            "member_assignment": member.assignment,
        }
        for member_id, member in group.members.items()
    ]
    return {
        "group_id": name,
        "group_state": group.state.value if is_known else "Dead",
        "protocol_type": group.protocol_type,
        "protocol_data": group.protocol,
        "members": members,
    }
