"""The broker process: sockets, the housekeeping task, and an orderly end."""

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from burstwatch.broker.call import Broker
from burstwatch.broker.coordinator import Coordinator
from burstwatch.broker.store import Store
from burstwatch.broker.wire import BadFrame, answer
from collector.schema.errors import OperatorError

log = logging.getLogger(__name__)

_MOST_FRAME_BYTES = 100 * 2**20  # Kafka's socket.request.max.bytes
_READ_BUFFER = 2**20
_HOUSEKEEPING_S = 30.0
_RETENTION_EVERY = 10  # rounds: 5 minutes, as in Kafka


class Server:
    """Listens on one address and answers each connection's requests in their order, as Kafka does."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends; whatever goes wrong ends this connection only."""
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        host, port = writer.get_extra_info("sockname")[:2]
        peer = writer.get_extra_info("peername")
        try:
            while True:
                frame = await reader.readexactly(_frame_size(await reader.readexactly(4)))
                response = await answer(self._broker, frame, host=host, port=port)
                if response is not None:
                    writer.write(response)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, asyncio.CancelledError):
            pass  # the client went away, or this broker is to stop
        except BadFrame as error:
            log.warning("event=connection_refused peer=%s reason=%r", peer, str(error)[:200])
        except OSError as error:
            log.warning("event=storage_failed peer=%s error=%s", peer, str(error)[:200])
        except Exception:
            log.exception("event=request_failed peer=%s", peer)
        finally:
            writer.close()

    async def close(self) -> None:
        """End all connections; a client that waits for records sees its connection close."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


async def run(host: str, port: int, data: Path, *, on_ready: Callable[[int], None],
              until: Callable[[], Awaitable[object]]) -> None:  # fmt: skip
    """Serve until `until` returns. `on_ready` is told the port.

    Raises:
        OperatorError: the data folder or the address cannot be used.
    """
    store = Store(data)
    broker = Broker(store=store, coordinator=Coordinator())
    server = Server(broker)
    try:
        listener = await _listen(server, host, port)
        housekeeping = asyncio.create_task(_keep_house(broker))
        on_ready(listener.sockets[0].getsockname()[1])
        await until()
        listener.close()
        housekeeping.cancel()
        await server.close()
    finally:
        store.close()


async def _listen(server: Server, host: str, port: int) -> asyncio.Server:
    try:
        return await asyncio.start_server(
            server.serve, host, port, limit=_READ_BUFFER, family=socket.AF_UNSPEC, backlog=256
        )
    except (OSError, OverflowError) as error:  # the latter: no such port number
        reason = getattr(error, "strerror", None) or str(error)
        raise OperatorError(
            f"cannot listen on {host}:{port} ({reason}); choose another --port (0 takes a free one) or --host"
        ) from error


async def _keep_house(broker: Broker) -> None:
    for housekeeping in itertools.count(1):
        await asyncio.sleep(_HOUSEKEEPING_S)
        try:
            await broker.store.maintain(
                int(time.time() * 1000),
                live_groups=set(broker.coordinator.groups),
                with_retention=housekeeping % _RETENTION_EVERY == 0,
            )
        except Exception:  # a full disk, or a fault of ours, ends no broker; the next round tries again
            log.exception("event=housekeeping_failed")


def _frame_size(prefix: bytes) -> int:
    size = int.from_bytes(prefix, "big", signed=True)
    if not 0 <= size <= _MOST_FRAME_BYTES:
        raise BadFrame(f"a frame of {size} bytes")
    return size
