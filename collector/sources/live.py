"""Builds the live sources of a configuration; each one's libraries load only if it is used."""

import socket
from collections.abc import Mapping

from collector.config import Config, ProxyConfig, VllmConfig
from collector.sources.base import LiveSource
from collector.sources.exchange import Clock
from collector.sources.session_tag import SessionTags


def build_live(config: Config, clock: Clock, *, boot: str, listeners: Mapping[str, int]) -> list[LiveSource]:
    """Return the live sources; ``listeners`` maps a proxy's name to its listening descriptor."""
    built: list[LiveSource] = []
    node = config.agent.node
    tags: SessionTags | None = None
    for index, source in enumerate(config.sources):
        if isinstance(source, ProxyConfig):
            from collector.sources.proxy import ProxySource  # noqa: PLC0415 - see the module's first line

            listener = socket.socket(fileno=listeners[source.name])
            listener.setblocking(False)
            if tags is None:  # one for all proxies: they share the key's file
                days = config.agent.session_key_days
                tags = SessionTags(config.agent.spool_dir, days=days, now_us=clock.now_us)
            ids = f"{boot}-{index}"
            built.append(ProxySource(source, clock=clock, ids=ids, node=node, tag=tags.tag, listener=listener))
        elif isinstance(source, VllmConfig):
            from collector.sources.vllm import VllmSource  # noqa: PLC0415 - same

            built.append(VllmSource(source, clock=clock, node=node))
    return built
