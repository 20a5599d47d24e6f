"""When each agent was last heard, by the log's own time. Pure; for display only: no result depends on it.

It is kept by the partition it was heard in: what another worker takes over is forgotten here at once, so that an agent
whose services have moved does not look silent to the worker they have left.
"""

SILENT_US = 3600 * 1_000_000
AGENTS_MAX = 1_000  # per partition

Source = tuple[str, int]  # topic, partition


class LastHeard:
    """The agents heard last, ``AGENTS_MAX`` of each partition at most."""

    def __init__(self) -> None:
        self._heard: dict[Source, dict[str, int]] = {}  # the longest unheard first
        self._now = 0

    def hear(self, source: Source, agent: str, appended_at: int) -> None:
        """Take note of a message of ``agent``; ``appended_at`` is when Kafka appended it (us)."""
        agents = self._heard.setdefault(source, {})
        agents[agent] = max(appended_at, agents.pop(agent, 0))
        if len(agents) > AGENTS_MAX:
            del agents[next(iter(agents))]
        self._now = max(self._now, appended_at)

    def drop(self, source: Source) -> None:
        """Forget a partition another worker may have from now on."""
        self._heard.pop(source, None)

    def newest(self) -> dict[str, int]:
        """Return when the newest message of each agent was appended (us).

        An agent is forgotten when others have gone on for an hour without it; where nobody speaks, nobody is.

        >>> heard = LastHeard()
        >>> heard.hear(("llm.requests", 0), "gone", 5_000_000)
        >>> heard.hear(("llm.requests", 1), "here", 3_604_000_000)
        >>> heard.newest()
        {'gone': 5000000, 'here': 3604000000}
        >>> heard.hear(("llm.requests", 1), "here", 3_605_000_000)
        >>> heard.newest()
        {'here': 3605000000}
        """
        found: dict[str, int] = {}
        for agents in list(self._heard.values()):
            for agent, at in agents.items():
                if self._now - at < SILENT_US:
                    found[agent] = max(at, found.get(agent, 0))
        return found
