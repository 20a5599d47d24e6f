"""Builds the live sources of a configuration; each one's libraries load only if it is used."""

import socket
from collections.abc import Mapping

from collector.config import Config, ProxyConfig, VllmConfig
from collector.sources.base import LiveSource
from collector.sources.exchange import Clock
from collector.sources.session_tag import load_key


def build_live(config: Config, clock: Clock, *, boot: str, listeners: Mapping[str, int]) -> list[LiveSource]:
    """Return the live sources; ``listeners`` maps a proxy's name to its listening descriptor."""
    built: list[LiveSource] = []
    node = config.agent.node
    for index, source in enumerate(config.sources):
        if isinstance(source, ProxyConfig):
            from collector.sources.proxy import ProxySource  # noqa: PLC0415 - see the module's first line

            listener = socket.socket(fileno=listeners[source.name])
            listener.setblocking(False)
            key = load_key(config.agent.spool_dir)
            ids = f"{boot}-{index}"
            built.append(ProxySource(source, clock=clock, ids=ids, node=node, key=key, listener=listener))
        elif isinstance(source, VllmConfig):
            from collector.sources.vllm import VllmSource  # noqa: PLC0415 - same

            built.append(VllmSource(source, clock=clock, node=node))
    return built
