"""The engine's mind: which requests run, wait, are preempted or refused. Imitates vLLM's V1 scheduler.

Rules of this file:
- It never reads a clock: ``now_s`` comes in, a step's duration goes out.
- First come, first served. Every running request arrived before every waiting one, so no one starves:
  the oldest can always go on, because a request that could not fit alone was refused at the door.
- When blocks run out the newest running request gives up its own (recompute: it keeps its text, loses its
  cache, and goes back to the head of the queue). A step that preempts admits nobody.

Simplified against vLLM: no prefix caching, one request = one sequence, and a prompt's blocks are taken
whole at admission (vLLM's ``scheduler_reserve_full_isl``) instead of chunk by chunk.
"""

from collections import deque
from dataclasses import dataclass, field

from workload.engine import constants
from workload.engine.sequence import End, KvCache, Sequence


class Refused(Exception):  # noqa: N818 - named for what it is
    """The engine does not take this request."""


class QueueFull(Refused):
    """As many requests as allowed are waiting already."""


class ContextExceeded(Refused):
    """Prompt and response could not fit even if the request were alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the engine may hold at once. ``queue_timeout_s`` None: a request waits as long as it takes."""

    kv_blocks: int = constants.KV_BLOCKS
    block_tokens: int = constants.BLOCK_TOKENS
    max_running: int = constants.MAX_RUNNING
    max_waiting: int = constants.MAX_WAITING
    max_batched_tokens: int = constants.MAX_BATCHED_TOKENS
    max_model_len: int = constants.MAX_MODEL_LEN
    queue_timeout_s: float | None = None

    @property
    def context_tokens(self) -> int:
        """The longest a request may become: the model's window, or the whole cache if that is smaller."""
        return min(self.max_model_len, self.kv_blocks * self.block_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a step costs: base + sequences decoding * a little + prompt tokens * a little."""

    decode_tokens_per_s: float = constants.DECODE_TOKENS_PER_S
    prefill_tokens_per_s: float = constants.PREFILL_TOKENS_PER_S
    decode_s_per_sequence: float = constants.DECODE_S_PER_SEQUENCE

    def duration_s(self, *, decoding: int, prefilled: int) -> float:
        """Return how long a step over ``decoding`` sequences and ``prefilled`` prompt tokens takes."""
        return (
            1.0 / self.decode_tokens_per_s
            + self.decode_s_per_sequence * decoding
            + prefilled / self.prefill_tokens_per_s
        )


@dataclass(slots=True, kw_only=True)
class Step:
    """What one step did. ``advanced`` got one token each at its end; ``ended`` left the engine.

    ``running`` requests held ``blocks`` of the cache while it ran: those it ended are among them.
    """

    duration_s: float = 0.0
    running: int = 0
    blocks: int = 0
    advanced: list[Sequence] = field(default_factory=list)
    ended: list[Sequence] = field(default_factory=list)
    preempted: int = 0
    prefilled: int = 0


class Scheduler:
    """The waiting queue, the running batch and the cache. Ask ``submit``, ``abort`` and ``step``."""

    def __init__(self, limits: Limits, pace: Pace) -> None:
        self.limits = limits
        self.pace = pace
        self.kv = KvCache(blocks=limits.kv_blocks, block_tokens=limits.block_tokens)
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    @property
    def busy(self) -> bool:
        """True if a step would have something to do."""
        return bool(self.running or self.waiting)

    def submit(self, sequence: Sequence) -> None:
        """Queue ``sequence``. Raises ``ContextExceeded`` or ``QueueFull``; then nothing has changed.

        Preempted requests return to the queue's head past the bound: they were accepted already.
        """
        if sequence.prompt_tokens + sequence.max_tokens > self.limits.context_tokens:
            raise ContextExceeded
        if len(self.waiting) >= self.limits.max_waiting:
            raise QueueFull
        self.waiting.append(sequence)

    def abort(self, sequence: Sequence, now_s: float) -> None:
        """Forget ``sequence`` and free its blocks; nothing happens if it has ended already."""
        if sequence.end is not None:
            return
        if sequence in self.running:
            self.running.remove(sequence)
        else:
            self.waiting.remove(sequence)
        self._finish(sequence, End.ABORT, now_s)

    def step(self, now_s: float) -> Step:
        """Run one step that begins at ``now_s``: one token for every request whose prompt is in the cache."""
        step = Step()
        self._expire(step, now_s)
        plan = self._keep_running(step)
        if not step.preempted:
            self._admit(plan, now_s)
        step.running = len(self.running)
        step.blocks = self.kv.total - self.kv.free
        if plan:
            self._compute(step, plan, now_s)
        return step

    def leap(self, now_s: float, until_s: float) -> float:
        """Run the steps before ``until_s`` that are all alike, at once. Returns when the last of them ends.

        Alike: every running request gets one token and no more happens; nobody is admitted, ends, times out or is
        preempted. Exactly what as many calls of ``step`` would do, to the bit, for the price of one. ``now_s``
        comes back where the next step is no such step (and may be none).
        """
        running = self.running
        room = min((s.target_tokens - s.generated for s in running), default=1) - 1
        if room <= 0 or len(running) > self.limits.max_batched_tokens or not self._none_can_enter():
            return now_s
        if any(s.length - s.computed != 1 or not s.generated for s in running):
            return now_s  # somebody's prompt is not through yet
        step_s = self.pace.duration_s(decoding=len(running), prefilled=0)
        steps, end_s = 0, now_s
        while steps < room and end_s < until_s:
            steps, end_s = steps + 1, end_s + step_s
        needed = [self.kv.missing(s, s.computed + steps) for s in running]
        if sum(needed) > self.kv.free:
            return now_s
        for sequence, blocks in zip(running, needed, strict=True):
            self.kv.take(sequence, blocks)
            since_s = now_s - (sequence.last_token_s or now_s) + step_s
            sequence.gap_max_s = max(sequence.gap_max_s, since_s)
            sequence.last_token_s = end_s
            sequence.generated += steps
            sequence.computed += steps
        return end_s

    def _none_can_enter(self) -> bool:
        """Return whether nobody who waits can be admitted or time out before something else happens."""
        if not self.waiting:
            return True
        if self.limits.queue_timeout_s is not None:
            return False
        head = self.waiting[0]
        return len(self.running) >= self.limits.max_running or self.kv.missing(head, head.length) > self.kv.free

    def _expire(self, step: Step, now_s: float) -> None:
        timeout_s = self.limits.queue_timeout_s
        if timeout_s is None:
            return
        for sequence in [s for s in self.waiting if s.admitted_s is None and s.arrived_s + timeout_s <= now_s]:
            self.waiting.remove(sequence)
            self._finish(sequence, End.TIMEOUT, now_s)
            step.ended.append(sequence)

    def _keep_running(self, step: Step) -> list[tuple[Sequence, int]]:
        """Give running requests their next tokens, oldest first; preempt from the newest when blocks run out."""
        plan: list[tuple[Sequence, int]] = []
        budget = self.limits.max_batched_tokens
        place = 0
        while place < len(self.running) and budget > 0:
            sequence = self.running[place]
            tokens = min(sequence.length - sequence.computed, budget)
            missing = self.kv.missing(sequence, sequence.computed + tokens)
            while missing > self.kv.free and len(self.running) > place:
                self._preempt(self.running.pop())
                step.preempted += 1
            if len(self.running) == place:  # it was the newest itself
                break
            self.kv.take(sequence, missing)
            plan.append((sequence, tokens))
            budget -= tokens
            place += 1
        return plan

    def _admit(self, plan: list[tuple[Sequence, int]], now_s: float) -> None:
        """Start waiting requests in order while the batch, the token budget and the cache have room."""
        budget = self.limits.max_batched_tokens - sum(tokens for _, tokens in plan)
        while self.waiting and budget > 0 and len(self.running) < self.limits.max_running:
            sequence = self.waiting[0]
            missing = self.kv.missing(sequence, sequence.length)
            if missing > self.kv.free:
                return
            self.waiting.popleft()
            self.kv.take(sequence, missing)
            if sequence.admitted_s is None:
                sequence.admitted_s = now_s
            self.running.append(sequence)
            tokens = min(sequence.length, budget)
            plan.append((sequence, tokens))
            budget -= tokens

    def _compute(self, step: Step, plan: list[tuple[Sequence, int]], now_s: float) -> None:
        decoding = sum(1 for _, tokens in plan if tokens == 1)
        step.prefilled = sum(tokens for _, tokens in plan) - decoding
        step.duration_s = self.pace.duration_s(decoding=decoding, prefilled=step.prefilled)
        end_s = now_s + step.duration_s
        for sequence, tokens in plan:
            sequence.computed += tokens
            if sequence.computed < sequence.length:
                continue  # its prompt is not through yet
            sequence.generated += 1
            if sequence.last_token_s is None:
                sequence.first_token_s = end_s
            elif end_s - sequence.last_token_s > sequence.gap_max_s:
                sequence.gap_max_s = end_s - sequence.last_token_s
            sequence.last_token_s = end_s
            step.advanced.append(sequence)
            if sequence.generated >= sequence.target_tokens:
                full = sequence.generated >= sequence.max_tokens
                self._finish(sequence, End.LENGTH if full else End.STOP, end_s)
                step.ended.append(sequence)
        self.running = [sequence for sequence in self.running if sequence.end is None]

    def _preempt(self, sequence: Sequence) -> None:
        self.kv.release(sequence)
        sequence.preemptions += 1
        self.waiting.appendleft(sequence)

    def _finish(self, sequence: Sequence, end: End, now_s: float) -> None:
        self.kv.release(sequence)
        sequence.end = end
        sequence.ended_s = now_s
