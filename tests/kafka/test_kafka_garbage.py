"""Conformance: bytes that are no request cost their sender the connection, and nobody else anything."""

import os
import random
import struct

import pytest

from tests.support.broker import create_topic
from tests.support.kafka_wire import Wire, batch

pytestmark = pytest.mark.kafka

RANDOM = random.Random(1).randbytes
GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a frame of two gigabytes": struct.pack(">i", 2**31 - 1) + b"x" * 1000,
    "a frame of negative size": struct.pack(">i", -5) + b"x" * 1000,
    "an empty frame": struct.pack(">i", 0),
    "a random frame": struct.pack(">i", 500) + RANDOM(500),
    "an unknown request": struct.pack(">ihhih", 10, 9999, 0, 1, -1),
    "an unknown version": struct.pack(">ihhih", 10, 3, 999, 1, -1),
    "a produce request cut short": struct.pack(">ihhih", 14, 0, 8, 1, -1) + b"\xff\xff\xff\xff",
    "a metadata request for two billion topics": struct.pack(">ihhihi", 14, 3, 5, 1, -1, 2**31 - 1),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_closes_its_connection_and_harms_no_other(kafka: str, kind: str):
    topic = create_topic(kafka)
    with Wire(kafka) as innocent:
        innocent.produce(topic, batch(b"before"))
        with Wire(kafka) as rude:
            rude.socket.sendall(GARBAGE[kind])
            with pytest.raises(ConnectionError):
                rude.exactly(1)
        assert innocent.produce(topic, batch(b"after")).base_offset == 1


def test_a_client_that_goes_away_in_the_middle_of_a_request_harms_nobody(kafka: str):
    topic = create_topic(kafka)
    with Wire(kafka) as rude:
        rude.socket.sendall(struct.pack(">i", 10_000) + os.urandom(100))
    with Wire(kafka) as innocent:
        assert innocent.produce(topic, batch(b"x")).error_code == 0
