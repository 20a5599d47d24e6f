"""Requests as bytes: prompts of the recorded length, and in sessions the turns before them. Pure."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import orjson

from workload.replay.answer import Answer
from workload.replay.options import Endpoint
from workload.replay.schedule import Shot
from workload.replay.sizing import Sizing
from workload.replay.words import WordPool

SESSIONS_MAX = 20_000  # histories remembered; beyond, the longest unused is forgotten (its session begins anew)


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a session and how many tokens it is."""

    role: str
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Request:
    """A body ready to be sent, and what it was made of.

    Attributes:
        words: of the prompt, where it is all one new message (else None): what ``Sizing`` learns from.
        history: the messages before the new one, as sent; ``new``: the new one.
    """

    body: bytes
    words: int | None
    new: Said
    history: list[Said] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How requests are put: which call, and whether the server is told to ignore its end-of-sequence token."""

    endpoint: Endpoint = Endpoint.CHAT
    ignore_eos: bool = True


class Composer:
    """Makes requests; in closed sessions each carries the turns before it.

    Where the pool is sized by a tokenizer, what is called words here are its tokens; ``sizing`` then still learns what
    the chat template adds.

    The recorded request tokens of a later turn count everything the server reads: the history, and the new message
    fills what is left. Where the recorded count falls (the service cut its context, or began anew), the oldest
    messages are dropped until it fits.
    """

    def __init__(self, pool: WordPool, sizing: Sizing, form: Form, *, histories: bool) -> None:
        self._pool = pool
        self._sizing = sizing
        self._form = form
        self._keeps = histories
        self._histories: OrderedDict[str, list[Said]] = OrderedDict()

    def keeps(self, shot: Shot) -> bool:
        """True if the answer's text will be wanted, as history of the next turn."""
        return self._keeps and shot.conversation is not None

    def compose(self, shot: Shot, number: int) -> Request:
        """Return the request of ``shot``, the ``number``-th of this replay."""
        history = self._history(shot)
        known = sum(said.tokens for said in history)
        tokens = shot.prompt_tokens - known
        words = self._sizing.more_words(tokens) if history else self._sizing.words(tokens)
        new = Said("user", self._pool.prompt(number, words), tokens)
        return Request(self._body(shot, [*history, new]), None if history else words, new, history)

    def answered(self, shot: Shot, request: Request, answer: Answer) -> None:
        """Learn from the tokens the server counted, and remember a session's turn with its answer.

        A turn without an answer is not remembered: chat templates want user and assistant to take turns.
        """
        if request.words is not None and answer.request_tokens is not None:
            self._sizing.learn(request.words, answer.request_tokens)
        if not self.keeps(shot) or shot.conversation is None or not answer.text:
            return
        history, new = request.history, request.new
        if answer.request_tokens is not None:  # put right what was estimated
            off = answer.request_tokens - sum(said.tokens for said in (*history, new))
            new = Said(new.role, new.text, max(1, new.tokens + off))
        tokens = len(answer.text.split()) if answer.response_tokens is None else answer.response_tokens
        self._histories[shot.conversation] = [*history, new, Said("assistant", answer.text, tokens)]
        self._histories.move_to_end(shot.conversation)
        if len(self._histories) > SESSIONS_MAX:
            self._histories.popitem(last=False)

    def _history(self, shot: Shot) -> list[Said]:
        """Return the latest messages that leave room for at least one new token; they begin with a user's."""
        if not self.keeps(shot) or shot.conversation is None:
            return []
        history = self._histories.get(shot.conversation, [])
        start, tokens = 0, sum(said.tokens for said in history)
        while start < len(history) and (tokens >= shot.prompt_tokens or history[start].role != "user"):
            tokens -= history[start].tokens
            start += 1
        return history[start:]

    def _body(self, shot: Shot, messages: list[Said]) -> bytes:
        fields: dict[str, Any] = {"model": shot.model}
        if self._form.endpoint is Endpoint.CHAT:
            fields["messages"] = [{"role": said.role, "content": said.text} for said in messages]
        else:
            fields["prompt"] = "\n".join(said.text for said in messages)
        fields["max_tokens"] = shot.response_tokens
        if self._form.ignore_eos:
            fields["ignore_eos"] = True
            fields["min_tokens"] = shot.response_tokens  # engines that do not know ignore_eos may know this
        fields["stream"] = True
        fields["stream_options"] = {"include_usage": True}
        return orjson.dumps(fields)
