"""Kafka's wire protocol: frames, headers, versions; kafka-python's codecs do the fields.

A frame that makes no sense raises BadFrame and costs its sender the connection, nobody else anything.
"""

import inspect
import struct
from collections.abc import Awaitable, Callable
from functools import cache

from kafka.protocol import admin, consumer, metadata, producer

from burstwatch.broker import admin_api, data_api, group_api
from burstwatch.broker.call import Broker, Call, Decoded, Fields
from burstwatch.broker.codes import Code

Answer = Fields | None
Handler = Callable[[Broker, Call], Answer | Awaitable[Answer]]

_HEADER = struct.Struct(">hhih")  # api key, version, correlation id, length of the client id


class BadFrame(Exception):  # noqa: N818 - named for what it is; the sender's fault, not an error of ours
    """These bytes are no request this broker has offered to answer."""


def api_versions(_broker: Broker, _call: Call) -> Fields:
    """Say what this broker answers. Transactions are not among it."""
    return {
        "api_keys": [
            {"api_key": _request(name).API_KEY, "min_version": low, "max_version": high}
            for name, (low, high, _) in APIS.items()
        ]
    }


# Versions: new enough for every client in tests/kafka, old enough to need no topic ids, fetch sessions or
# replica epochs. Produce is advertised from 0 as Kafka 4 does, because librdkafka looks for it.
APIS: dict[str, tuple[int, int, Handler]] = {
    "Produce": (0, 8, data_api.produce),
    "Fetch": (4, 11, data_api.fetch),
    "ListOffsets": (1, 5, data_api.list_offsets),
    "Metadata": (0, 8, admin_api.metadata),
    "OffsetCommit": (2, 7, group_api.offset_commit),
    "OffsetFetch": (1, 5, group_api.offset_fetch),
    "FindCoordinator": (0, 3, group_api.find_coordinator),
    "JoinGroup": (0, 5, group_api.join_group),
    "Heartbeat": (0, 3, group_api.heartbeat),
    "LeaveGroup": (0, 3, group_api.leave_group),
    "SyncGroup": (0, 3, group_api.sync_group),
    "DescribeGroups": (0, 4, group_api.describe_groups),
    "ListGroups": (0, 2, group_api.list_groups),
    "ApiVersions": (0, 3, api_versions),
    "CreateTopics": (0, 5, admin_api.create_topics),
    "DeleteTopics": (0, 3, admin_api.delete_topics),
    "DeleteRecords": (0, 1, data_api.delete_records),
    "InitProducerId": (0, 3, data_api.init_producer_id),
    "OffsetForLeaderEpoch": (0, 3, data_api.offset_for_leader_epoch),
    "DescribeConfigs": (0, 2, admin_api.describe_configs),
    "AlterConfigs": (0, 1, admin_api.alter_configs),
    "CreatePartitions": (0, 1, admin_api.create_partitions),
    "DeleteGroups": (0, 1, group_api.delete_groups),
    "IncrementalAlterConfigs": (0, 1, admin_api.incremental_alter_configs),
    "DescribeCluster": (0, 1, admin_api.describe_cluster),
}


async def answer(broker: Broker, frame: bytes, *, host: str, port: int) -> bytes | None:
    """Return the framed response to one request frame; None if the request wants no response.

    Raises:
        BadFrame: the frame is not a request in one of the versions offered.
    """
    try:
        key, version, correlation, client_id_size = _HEADER.unpack_from(frame)
        name = _names()[key]
        at = _HEADER.size + max(client_id_size, 0)
        client_id = frame[_HEADER.size : at].decode()[:255]
    except (struct.error, KeyError, UnicodeDecodeError) as error:
        raise BadFrame(f"not a Kafka request ({type(error).__name__})") from None
    low, high, handler = APIS[name]
    if not low <= version <= high:
        if name != "ApiVersions":
            raise BadFrame(f"{name} v{version} is not offered")
        # The one request a client sends before it can know: answered in v0, which every client reads.
        fields = api_versions(broker, Call(request=None, version=0, client_id=client_id, host=host, port=port))
        return _framed(name, 0, correlation, fields | {"error_code": Code.UNSUPPORTED_VERSION})
    request = _decode(name, version, frame, at)
    result = handler(broker, Call(request=request, version=version, client_id=client_id, host=host, port=port))
    fields_or_none = await result if inspect.isawaitable(result) else result
    return None if fields_or_none is None else _framed(name, version, correlation, fields_or_none)


def _decode(name: str, version: int, frame: bytes, at: int) -> Decoded:
    request = _request(name)
    at += request.flexible_version_q(version)  # flexible headers end with a count of tagged fields: always 0
    try:
        decoded = request.decode(memoryview(frame)[at:], version=version)
    except Exception as error:  # noqa: BLE001 - the codec raises whatever random bytes lead it to
        raise BadFrame(f"{name} v{version} cannot be decoded ({type(error).__name__})") from None
    _refuse_nulls(decoded, version)
    return decoded


def _refuse_nulls(container: Decoded, version: int) -> None:
    """The codec lets null through everywhere; handlers need to expect it only where the protocol allows it."""
    for name, field in container.fields.items():
        if not field.for_version_q(version):
            continue
        value = getattr(container, name)
        is_null = value is None and not field.nullable_for_version_q(version)
        if is_null or (isinstance(value, list) and any(item is None for item in value)):
            raise BadFrame(f"{name} is null")
        if value and field.is_struct_array():
            for item in value:
                _refuse_nulls(item, version)


def _framed(name: str, version: int, correlation: int, fields: Fields) -> bytes:
    response = _response(name)
    body = bytes(_filled(response, fields).encode(version=version))
    tagged = b"\0" if response.flexible_version_q(version) and name != "ApiVersions" else b""
    return struct.pack(">ii", 4 + len(tagged) + len(body), correlation) + tagged + body


def _filled(container: Decoded, fields: Fields) -> Decoded:
    """Turn nested dicts into kafka-python's containers."""
    known, values = container.fields, {}
    for name, value in fields.items():
        if name not in known:
            continue  # an error message, where the protocol has room for the code only
        if value and known[name].is_struct_array():
            values[name] = [_filled(known[name].data_class, item) for item in value]
        else:
            values[name] = value
    return container(**values)


@cache
def _names() -> dict[int, str]:
    return {_request(name).API_KEY: name for name in APIS}


@cache
def _request(name: str) -> Decoded:
    return _message(f"{name}Request")


@cache
def _response(name: str) -> Decoded:
    return _message(f"{name}Response")


def _message(name: str) -> Decoded:
    return next(getattr(module, name) for module in (producer, consumer, metadata, admin) if hasattr(module, name))
