"""One proxied generation, told as an arrival and a completion. Whatever goes wrong in here, the request goes on."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from collector.schema.events import API_LOG, CONVERSATION_LOG, Arrival, Completion
from collector.sources.base import Emit
from collector.sources.openai import BoundedBody, RequestFacts, ResponseObserver, request_facts
from collector.sources.outcome import CONNECTION_LOST, Ending

log = logging.getLogger(__name__)


class Clock(Protocol):
    """Event time."""

    def now_us(self) -> int:
        """Return microseconds since the epoch, never less than before."""


@dataclass(slots=True, kw_only=True)
class Telling:
    """What all exchanges of one proxy share: where events go, and what went wrong telling them."""

    emit: Emit
    clock: Clock
    source: str
    node: str
    errors: int = 0


class Exchange:
    """The story of one request: ``sent`` bytes, ``submitted``, ``answered``, ``received`` bytes, ``ended``."""

    def __init__(self, telling: Telling, *, id: str, session: str | None) -> None:  # noqa: A002 - the event's field
        self._telling = telling
        self._id = id
        self._session = session
        self._log_type = CONVERSATION_LOG if session is not None else API_LOG
        self._request = BoundedBody()
        self._facts = RequestFacts(model=None, stream=None)
        self._submitted_at: int | None = None
        self._response: ResponseObserver | None = None
        self._streams: bool | None = None
        self._status: int | None = None
        self._over = False

    def sent(self, chunk: bytes) -> None:
        """A piece of the request's body passed."""
        self._guarded(lambda: self._request.feed(chunk))

    @property
    def overflowed(self) -> bool:
        """True if the request's body is larger than what is looked at."""
        return self._request.overflowed

    def submitted(self) -> None:
        """The request is complete: the moment it arrives at the engine. Later calls do nothing."""
        if self._submitted_at is None:
            self._guarded(self._tell_arrival)

    def answered(self, status: int, content_type: str, *, encoded: bool) -> None:
        """The response's head came."""

        def note() -> None:
            self._status = status
            content = content_type.lower()
            self._streams = content.startswith("text/event-stream")
            self._response = ResponseObserver(status=status, content_type=content, encoded=encoded)

        self._guarded(note)

    def received(self, chunk: bytes) -> None:
        """A piece of the response's body passed."""
        response = self._response
        if response is not None:
            self._guarded(lambda: response.feed(chunk, self._telling.clock.now_us()))

    def ended(self, ending: Ending | None = None, *, status: int | None = None) -> None:
        """The request is over: as ``ending`` says, or (None) as its complete response does.

        ``status`` is what the client got, where the upstream said nothing. Later calls do nothing; a request
        that never came to be submitted is none.
        """
        if not self._over and self._submitted_at is not None:
            self._over = True
            self._guarded(lambda: self._tell_completion(ending, status))

    def _tell_arrival(self) -> None:
        self._facts = request_facts(self._request.parsed())
        self._request = BoundedBody()  # nothing of the prompt stays in memory
        now_us = self._telling.clock.now_us()
        self._submitted_at = now_us
        self._telling.emit(
            Arrival(
                id=self._id,
                submitted_at=now_us,
                model=self._facts.model,
                log_type=self._log_type,
                session=self._session,
                source=self._telling.source,
                node=self._telling.node,
            )
        )

    def _tell_completion(self, ending: Ending | None, status: int | None) -> None:
        response = self._response
        if ending is None:
            ending = response.end() if response is not None else CONNECTION_LOST
        tokens = response.tokens() if response is not None else {}
        submitted_at = self._submitted_at or 0
        self._telling.emit(
            Completion(
                id=self._id,
                submitted_at=submitted_at,
                first_token_at=response.first_token_at if response is not None else None,
                model=self._facts.model,
                log_type=self._log_type,
                session=self._session,
                stream=self._facts.stream if self._facts.stream is not None else self._streams,
                outcome=ending.outcome,
                reason=ending.reason,
                reason_raw=ending.reason_raw,
                http_status=self._status if self._status is not None else status,
                finish_reason=response.finish_reason if response is not None else None,
                source=self._telling.source,
                node=self._telling.node,
                ended_at=self._telling.clock.now_us(),
                **tokens,
            )
        )

    def _guarded(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # noqa: BLE001 - telemetry never harms a request
            self._telling.errors += 1
            if self._telling.errors == 1:
                # The type only: the text could quote a prompt.
                log.warning("event=telemetry_error source=%s error=%s", self._telling.source, type(error).__name__)
