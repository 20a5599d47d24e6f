"""Records in and out: Produce, Fetch, ListOffsets, OffsetForLeaderEpoch, DeleteRecords, InitProducerId."""

import asyncio
import time

from burstwatch.broker.call import Broker, Call, Decoded, Fields, attempt, by_topic, refuse_transactions
from burstwatch.broker.codes import Code, Refused
from burstwatch.broker.partition_log import PartitionLog

_MOST_FETCHED = 16 * 2**20  # bytes in one answer, whatever the client allows: the broker's memory is bounded
_LATEST, _EARLIEST = -1, -2
_LAST_EPOCH = 2**15 - 2


def produce(broker: Broker, call: Call) -> Fields | None:
    """Store the batches. When the answer leaves, kill -9 of this process does not lose them."""
    now_ms = int(time.time() * 1000)

    def store(topic: str, partition: Decoded) -> Fields:
        try:
            log = broker.store.log(topic, partition.index)
            appended = log.append(partition.records, now_ms)
        except Refused as refusal:
            return {"error_code": refusal.code, "base_offset": -1, "error_message": str(refusal)}
        return {
            "base_offset": appended.base_offset,
            "log_append_time_ms": appended.append_time_ms,
            "log_start_offset": log.start,
        }

    names = {"wanted": "partition_data", "index": "index", "answered": "partition_responses"}
    responses = by_topic(call.request.topic_data, store, **names)
    return {"responses": responses} if call.request.acks != 0 else None


async def fetch(broker: Broker, call: Call) -> Fields:
    """Return batches; wait up to max_wait_ms for min_bytes of them."""
    request, arrived = call.request, asyncio.Event()
    logs = _logs_of(broker, request)
    ends_at = time.monotonic() + request.max_wait_ms / 1000
    for log in logs:
        log.watchers.add(arrived.set)
    try:
        while True:
            arrived.clear()
            responses, size, failed = _read(broker, request)
            left = ends_at - time.monotonic()
            if failed or size >= request.min_bytes or left <= 0:
                return {"responses": responses}
            try:
                await asyncio.wait_for(arrived.wait(), left)
            except TimeoutError:
                ends_at = 0.0  # read once more: less than min_bytes may have come
    finally:
        for log in logs:
            log.watchers.discard(arrived.set)


def list_offsets(broker: Broker, call: Call) -> Fields:
    """Return each partition's first, next, or first-since-a-time offset."""

    def find(topic: str, partition: Decoded) -> Fields:
        log = broker.store.log(topic, partition.partition_index)
        if partition.timestamp == _LATEST:
            return {"offset": log.end, "timestamp": -1, "leader_epoch": 0}
        if partition.timestamp == _EARLIEST:
            return {"offset": log.start, "timestamp": -1, "leader_epoch": 0}
        try:
            timestamp, offset = log.offset_at(partition.timestamp)
        except ValueError as error:
            raise Refused(Code.CORRUPT_MESSAGE, str(error)) from error
        return {"offset": offset, "timestamp": timestamp, "leader_epoch": 0}

    return {"topics": by_topic(call.request.topics, find)}


def offset_for_leader_epoch(broker: Broker, call: Call) -> Fields:
    """Return the log's end: one node has one epoch, so nothing ever diverges."""

    def end(topic: str, partition: Decoded) -> Fields:
        return {"leader_epoch": 0, "end_offset": broker.store.log(topic, partition.partition).end}

    return {"topics": by_topic(call.request.topics, end, topic="topic", index="partition")}


def delete_records(broker: Broker, call: Call) -> Fields:
    """Move the start of logs up; offset -1 means to their end."""

    def delete(topic: str, partition: Decoded) -> Fields:
        log = broker.store.log(topic, partition.partition_index)
        offset = log.end if partition.offset == -1 else partition.offset
        if not 0 <= offset <= log.end:
            raise Refused(Code.OFFSET_OUT_OF_RANGE, f"the log ends at {log.end}")
        broker.store.set_start(topic, partition.partition_index, offset)
        return {"low_watermark": log.start}

    return {"topics": by_topic(call.request.topics, delete)}


def init_producer_id(broker: Broker, call: Call) -> Fields:
    """Return an id for an idempotent producer, or the next epoch of the id it has."""
    request = call.request

    def give() -> Fields:
        refuse_transactions(request.transactional_id)
        if request.producer_id >= 0 and 0 <= request.producer_epoch <= _LAST_EPOCH:
            return {"producer_id": request.producer_id, "producer_epoch": request.producer_epoch + 1}
        return {"producer_id": broker.store.catalogue.next_producer_id(), "producer_epoch": 0}

    return {"producer_id": -1, "producer_epoch": -1} | attempt(give)


def _logs_of(broker: Broker, request: Decoded) -> list[PartitionLog]:
    topics = broker.store.topics()
    wanted = [(topics.get(t.topic, []), p.partition) for t in request.topics for p in t.partitions]
    return [logs[partition] for logs, partition in wanted if 0 <= partition < len(logs)]


def _read(broker: Broker, request: Decoded) -> tuple[list[Fields], int, bool]:
    """Return (responses, bytes in them, whether a partition failed)."""
    room = min(request.max_bytes, _MOST_FETCHED)
    size, failed = 0, False

    def read(topic: str, partition: Decoded) -> Fields:
        nonlocal size, failed
        ends = {"high_watermark": -1, "last_stable_offset": -1, "log_start_offset": -1, "records": b""}
        try:
            log = broker.store.log(topic, partition.partition)
            ends |= {"high_watermark": log.end, "last_stable_offset": log.end, "log_start_offset": log.start}
            limit = min(partition.partition_max_bytes, room - size)
            records = log.read(partition.fetch_offset, max(limit, 0), at_least_one=size == 0)
        except Refused as refusal:
            failed = True
            return ends | {"error_code": refusal.code}
        size += len(records)
        return ends | {"records": records, "preferred_read_replica": -1, "aborted_transactions": None}

    names = {"topic": "topic", "index": "partition"}
    responses = by_topic(request.topics, read, **names)
    for response in responses:
        for partition in response["partitions"]:
            partition["partition_index"] = partition.pop("partition")
    return responses, size, failed
