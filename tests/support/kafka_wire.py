"""Kafka requests sent as such, for what no client library lets a test say; and record batches to order."""

import itertools
import socket
import struct
import time
from typing import Any, Self

from kafka.protocol import admin, consumer, metadata, producer

MODULES = (producer, consumer, metadata, admin)
COORDINATOR_LOADING = {14, 15, 16}  # a fresh Kafka is still making its offsets topic


def message(name: str) -> Any:
    return next(getattr(module, name) for module in MODULES if hasattr(module, name))


class Wire:
    """One connection. `ask` sends a request and returns the decoded response."""

    def __init__(self, bootstrap_servers: str) -> None:
        host, _, port = bootstrap_servers.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self._ids = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, name: str, version: int, **fields: Any) -> Any:
        self.send(name, version, **fields)
        return self.receive(name, version)

    def send(self, name: str, version: int, **fields: Any) -> None:
        request = message(f"{name}Request")
        body = bytes(request(**fields).encode(version=version))
        header = struct.pack(">hhih4s", request.API_KEY, version, next(self._ids), 4, b"wire")
        header += b"\0" * request.flexible_version_q(version)
        self.socket.sendall(struct.pack(">i", len(header) + len(body)) + header + body)

    def receive(self, name: str, version: int) -> Any:
        frame = self.exactly(int.from_bytes(self.exactly(4), "big"))
        response = message(f"{name}Response")
        start = 4 + (response.flexible_version_q(version) and name != "ApiVersions")
        return response.decode(memoryview(frame)[start:], version=version)

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the broker closed the connection")
            data += more
        return data

    def produce(self, topic: str, records: bytes, *, partition: int = 0, acks: int = -1) -> Any:
        """Return the partition's answer (error_code, base_offset, ...)."""
        data = message("ProduceRequest").TopicProduceData
        one = data(name=topic, partition_data=[data.PartitionProduceData(index=partition, records=records)])
        answer = self.ask("Produce", 8, acks=acks, timeout_ms=10_000, topic_data=[one])
        return answer.responses[0].partition_responses[0]

    def fetch(self, topic: str, offset: int, *, partition: int = 0, max_wait_ms: int = 100, min_bytes: int = 1,
              max_bytes: int = 2**20) -> Any:  # fmt: skip
        """Return the partition's answer (error_code, high_watermark, records, ...)."""
        entry = message("FetchRequest").FetchTopic
        wanted = entry.FetchPartition(
            partition=partition, fetch_offset=offset, partition_max_bytes=max_bytes, log_start_offset=-1,
            current_leader_epoch=-1,
        )  # fmt: skip
        answer = self.ask(
            "Fetch", 11, replica_id=-1, max_wait_ms=max_wait_ms, min_bytes=min_bytes, max_bytes=2**24,
            isolation_level=0, session_id=0, session_epoch=-1, topics=[entry(topic=topic, partitions=[wanted])],
            forgotten_topics_data=[], rack_id="",
        )  # fmt: skip
        return answer.responses[0].partitions[0]

    def join(self, group: str, member_id: str = "", *, instance: str | None = None, version: int = 5,
             protocols: dict[str, bytes] | None = None, session_ms: int = 6000) -> Any:  # fmt: skip
        """Join once; an id that the broker asks to join with is in the answer."""
        request = message("JoinGroupRequest")
        offered = [request.JoinGroupRequestProtocol(name=n, metadata=m) for n, m in (protocols or {"p": b""}).items()]
        while True:
            answer = self.ask(
                "JoinGroup", version, group_id=group, session_timeout_ms=session_ms, rebalance_timeout_ms=10_000,
                member_id=member_id, group_instance_id=instance, protocol_type="test", protocols=offered,
            )  # fmt: skip
            if answer.error_code not in COORDINATOR_LOADING:
                return answer
            time.sleep(0.2)

    def sync(self, group: str, member_id: str, generation: int, assignments: dict[str, bytes]) -> Any:
        request = message("SyncGroupRequest")
        given = [
            request.SyncGroupRequestAssignment(member_id=name, assignment=assignment)
            for name, assignment in assignments.items()
        ]
        return self.ask(
            "SyncGroup", 3, group_id=group, generation_id=generation, member_id=member_id, assignments=given
        )

    def heartbeat(self, group: str, member_id: str, generation: int, *, instance: str | None = None) -> int:
        answer = self.ask(
            "Heartbeat", 3, group_id=group, generation_id=generation, member_id=member_id, group_instance_id=instance
        )
        return int(answer.error_code)

    def commit(self, group: str, member_id: str, generation: int, *, topic: str, offset: int) -> int:
        request = message("OffsetCommitRequest").OffsetCommitRequestTopic
        position = request.OffsetCommitRequestPartition(
            partition_index=0, committed_offset=offset, committed_leader_epoch=-1, committed_metadata="note"
        )
        answer = self.ask(
            "OffsetCommit", 7, group_id=group, generation_id_or_member_epoch=generation, member_id=member_id,
            group_instance_id=None, topics=[request(name=topic, partitions=[position])],
        )  # fmt: skip
        return int(answer.topics[0].partitions[0].error_code)


def batch(*values: bytes, key: bytes | None = b"k", producer_id: int = -1, epoch: int = -1, sequence: int = -1,
          timestamp: int = 1_700_000_000_000) -> bytes:  # fmt: skip
    """Return a record batch of these values, as a producer would send it."""
    return keyed_batch(
        *((key, value) for value in values),
        producer_id=producer_id,
        epoch=epoch,
        sequence=sequence,
        timestamp=timestamp,
    )


def keyed_batch(*records: tuple[bytes | None, bytes | None], producer_id: int = -1, epoch: int = -1,
                sequence: int = -1, timestamp: int = 1_700_000_000_000, compression: int = 0) -> bytes:  # fmt: skip
    """Return a record batch of these (key, value) pairs, one millisecond apart."""
    from aiokafka.record.default_records import DefaultRecordBatchBuilder

    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=compression, is_transactional=0, producer_id=producer_id, producer_epoch=epoch,
        base_sequence=sequence, batch_size=2**30,
    )  # fmt: skip
    for i, (key, value) in enumerate(records):
        builder.append(i, timestamp + i, key, value, [])
    return bytes(builder.build())
