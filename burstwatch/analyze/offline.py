"""A recording through the agent's source and batcher and the worker's state, in one process: the same numbers.

Nothing here computes: the events are those the agent would send, cut and coded as it would, and the state is the
one a worker would hold. Only the disk and Kafka between them are left out.
"""

from collections.abc import Callable, Iterator

from collector.batcher import Batcher
from collector.config import TraceConfig
from collector.schema.codec import decode
from collector.sources.recording import Recording
from collector.sources.trace import TraceSource, resolve_base_us
from streams.processors.service import ServiceState
from streams.processors.settings import AnalysisSettings

BATCH_MAX = 1000


class OfflineAnalysis:
    """One recording as one service.

    Attributes:
        state: the service's state; complete when ``results`` is exhausted.
        base_us: what was added to the file's times to make event times.
    """

    def __init__(
        self, recording: Recording, config: TraceConfig, settings: AnalysisSettings, *, now_us: int = 0
    ) -> None:
        self.state = ServiceState(config.service, settings)
        self.base_us = resolve_base_us(recording, config.origin, now_us)
        self._source = TraceSource(config, recording, node="offline", now_us=now_us, checkpoint=None)

    def results(self, progress: Callable[[int], None] = lambda _events: None) -> Iterator[object]:
        """Yield every window row and episode as it becomes final, in order of event time.

        ``progress`` is told how many events were taken since it was told last (two a request).
        """
        source, offset = self._source, 0
        batcher = Batcher(agent="offline", boot="offline", batch_max=BATCH_MAX)
        batcher.join(source.lane, source.name)
        while not source.exhausted:
            events = source.take(BATCH_MAX, 0.0)
            for event in events:
                batcher.add(source.lane, event)
            batcher.promise(source.lane, source.name, source.watermark(0.0))
            for message in batcher.flush(source.lane):
                yield from self.state.results(decode(message.body), offset)
                offset += 1
            progress(len(events))
