"""Any bytes are answered, or refused as BadFrame: no frame brings the broker's own faults to light."""

import asyncio
import contextlib
import random
import struct

import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from burstwatch.broker.call import Broker
from burstwatch.broker.codes import Refused
from burstwatch.broker.coordinator import Coordinator
from burstwatch.broker.partition_log import PartitionLog
from burstwatch.broker.store import Store
from burstwatch.broker.topic_configs import parse
from burstwatch.broker.wire import APIS, BadFrame, answer
from tests.support.kafka_wire import batch, keyed_batch, message


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("fuzz"))
    store.create_topic("t", 2, {"cleanup.policy": "compact"}, dry_run=False)
    yield Broker(store=store, coordinator=Coordinator())
    store.close()


def offer(broker: Broker, frame: bytes) -> None:
    async def bounded() -> None:
        try:
            await asyncio.wait_for(answer(broker, frame, host="h", port=1), 0.05)
        except (BadFrame, TimeoutError):
            return

    asyncio.run(bounded())


def filled(container, depth: int, fuzz: random.Random):
    """Return a request with something in every field."""
    values = {}
    for name, field in container.fields.items():
        if field.is_struct_array():
            values[name] = [filled(field.data_class, depth + 1, fuzz) for _ in range(fuzz.choice([0, 1, 2]))]
        elif field.is_struct():
            continue
        elif "name" in name or name == "topic":
            values[name] = fuzz.choice(["t", "t", "unknown", ""])
    return container(**values)


def header(name: str, version: int) -> bytes:
    request = message(f"{name}Request")
    return struct.pack(">hhih2s", request.API_KEY, version, 5, 2, b"me") + b"\0" * request.flexible_version_q(version)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(APIS)), data=st.data(), body=st.binary(max_size=200))
def test_random_bodies_are_refused_or_answered(broker, name, data, body):
    low, high, _ = APIS[name]
    offer(broker, header(name, data.draw(st.integers(max(low - 1, 0), high + 1))) + body)


@settings(max_examples=400, deadline=None)
@given(
    name=st.sampled_from(sorted(APIS)), seed=st.integers(0, 10**6), flips=st.integers(0, 4), version=st.integers(0, 13)
)
def test_requests_with_a_few_bytes_changed_are_refused_or_answered(broker, name, seed, flips, version):
    low, high, _ = APIS[name]
    fuzz, version = random.Random(seed), min(max(version, low), high)
    try:
        body = bytearray(filled(message(f"{name}Request"), 0, fuzz).encode(version=version))
    except (TypeError, ValueError, AttributeError):
        return  # a field this filler cannot fill
    for _ in range(flips):
        if body:
            body[fuzz.randrange(len(body))] = fuzz.randrange(256)
    offer(broker, header(name, version) + bytes(body))


@settings(max_examples=300, deadline=None)
@given(at=st.integers(17, 200), byte=st.integers(0, 255), codec=st.integers(0, 7), compacts=st.booleans())
def test_a_batch_with_any_byte_changed_is_refused_or_stored_whole(tmp_path_factory, at, byte, codec, compacts):
    """The checksum is made right again, so that what lies behind it is looked at."""
    data = bytearray(batch(b"value", b"other"))
    data[at % len(data)] = byte
    data[22] = data[22] & 0xF8 | codec  # claims a compression it does not have
    struct.pack_into(">I", data, 17, crc32c(bytes(data[21:])))
    configs = parse({"cleanup.policy": "compact"} if compacts else {})
    log = PartitionLog(tmp_path_factory.mktemp("log"), configs)
    with contextlib.suppress(Refused):
        log.append(bytes(data), 2 * 10**12)
    end = log.end
    with contextlib.suppress(ValueError):
        log.offset_at(0)
    assert log.append(keyed_batch((b"k", b"next")), 2 * 10**12).base_offset == end
    log.close()
