"""One consumer group: Kafka's "classic" rebalance protocol as a state machine.

Members join, the broker waits until all known members have joined again, names a leader, and hands out the
leader's assignment. A member that is silent for its session timeout is put out. This file never reads a clock:
every call takes `now` in seconds, and `deadline` says when `tick` has something to do. Answers that must wait
go to the callback given with the call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple
from uuid import uuid4

from burstwatch.broker.codes import Code

FIRST_JOIN_DELAY_S = 0.1  # how long a group without members waits for a second one, to save a rebalance


class State(Enum):
    """Kafka's names, as DescribeGroups shows them."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"


class Joined(NamedTuple):
    """The answer to a join. `members` (member id, instance id, metadata) is filled for the leader only."""

    code: Code
    member_id: str
    generation: int = -1
    protocol: str = ""
    leader: str = ""
    members: tuple[tuple[str, str | None, bytes], ...] = ()


class Synced(NamedTuple):
    """The answer to a sync: what the member is to read, in its own protocol's encoding."""

    code: Code
    assignment: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """What a member says when it joins. An empty `member_id` asks for one."""

    member_id: str
    instance_id: str | None
    client_id: str
    protocol_type: str
    protocols: Mapping[str, bytes]  # name -> metadata, best first
    session_s: float
    rebalance_s: float
    must_know_id: bool = False  # first ask for an id, then join with it (JoinGroup v4 on)


@dataclass(slots=True)
class Member:
    """One member, as it last joined."""

    request: JoinRequest
    expires_at: float
    assignment: bytes = b""
    on_joined: Callable[[Joined], None] | None = None
    on_synced: Callable[[Synced], None] | None = None

    @property
    def is_waiting(self) -> bool:
        """True while the broker owes it an answer; its session cannot end meanwhile."""
        return self.on_joined is not None or self.on_synced is not None


@dataclass(slots=True)
class Group:
    """One group. Offsets are not kept here: they outlive members (see Catalogue)."""

    group_id: str
    state: State = State.EMPTY
    generation: int = 0
    protocol_type: str = ""
    protocol: str = ""
    leader: str = ""
    members: dict[str, Member] = field(default_factory=dict)
    _promised: dict[str, float] = field(default_factory=dict)  # ids given out, not joined with yet
    _join_ends_at: float = 0.0
    _is_first_join: bool = False

    def join(self, request: JoinRequest, now: float, answer: Callable[[Joined], None]) -> None:
        """Take a member in, or back in; `answer` is called when the generation is complete."""
        member_id = request.member_id
        if (code := self._why_not(request)) is not Code.NONE:
            answer(Joined(code, member_id))
            return
        if not member_id:
            member_id = f"{request.client_id}-{uuid4()}"
            if self._take_over(member_id, request, now, answer):
                return
            if request.must_know_id and request.instance_id is None:
                self._promised[member_id] = now + request.session_s
                answer(Joined(Code.MEMBER_ID_REQUIRED, member_id))
                return
        self._promised.pop(member_id, None)
        member = self.members.setdefault(member_id, Member(request, now + request.session_s))
        if member.on_joined is not None:
            member.on_joined(Joined(Code.REBALANCE_IN_PROGRESS, member_id))
        member.request, member.on_joined = request, answer
        self.protocol_type = request.protocol_type
        self._prepare(now)
        self._complete_if_all_joined(now)

    def sync(self, member_id: str, generation: int, assignments: Mapping[str, bytes], *, now: float,
             answer: Callable[[Synced], None]) -> None:  # fmt: skip
        """Give a member its assignment, as soon as the leader (this member, perhaps) has sent it."""
        code = self.check(member_id, generation)
        if code is Code.NONE and self.state is State.PREPARING:
            code = Code.REBALANCE_IN_PROGRESS
        if code is not Code.NONE:
            answer(Synced(code))
            return
        member = self.members[member_id]
        member.expires_at = now + member.request.session_s
        member.on_synced = answer
        if self.state is State.COMPLETING and member_id == self.leader:
            for name, other in self.members.items():
                other.assignment = assignments.get(name, b"")
            self.state = State.STABLE
        if self.state is State.STABLE:
            for other in self.members.values():
                self._answer_sync(other, Synced(Code.NONE, other.assignment), now)

    def heartbeat(self, member_id: str, generation: int, now: float) -> Code:
        """Return whether the member may go on; REBALANCE_IN_PROGRESS asks it to join again."""
        code = self.check(member_id, generation)
        if code is Code.NONE:
            member = self.members[member_id]
            member.expires_at = now + member.request.session_s
            if self.state is State.PREPARING:
                return Code.REBALANCE_IN_PROGRESS
        return code

    def leave(self, member_id: str, now: float) -> Code:
        """Put a member out; the others share its work anew."""
        if member_id not in self.members:
            return Code.NONE if self._promised.pop(member_id, None) else Code.UNKNOWN_MEMBER_ID
        self._remove(member_id, now)
        return Code.NONE

    def check(self, member_id: str, generation: int, instance_id: str | None = None) -> Code:
        """Return NONE if a member of this generation speaks."""
        if instance_id and self.member_of(instance_id) not in {"", member_id}:
            return Code.FENCED_INSTANCE_ID
        if member_id not in self.members:
            return Code.UNKNOWN_MEMBER_ID
        return Code.NONE if generation == self.generation else Code.ILLEGAL_GENERATION

    def member_of(self, instance_id: str | None) -> str:
        """Return the id of the member with this instance id; "" if there is none."""
        found = (name for name, m in self.members.items() if m.request.instance_id == instance_id)
        return next(found, "") if instance_id else ""

    def deadline(self) -> float | None:
        """Return when `tick` must be called; None if only a member can change anything."""
        ends = [m.expires_at for m in self.members.values() if not m.is_waiting]
        ends += self._promised.values()
        if self.state is State.PREPARING:
            ends.append(self._join_ends_at)
        return min(ends, default=None)

    def tick(self, now: float) -> None:
        """Put out who has been silent too long, and end a join that has lasted long enough."""
        self._promised = {name: ends for name, ends in self._promised.items() if ends > now}
        for name in [n for n, m in self.members.items() if not m.is_waiting and m.expires_at <= now]:
            self._remove(name, now)
        if self.state is State.PREPARING and self._join_ends_at <= now:
            self._is_first_join = False
            for name in [n for n, m in self.members.items() if m.on_joined is None]:
                del self.members[name]
            self._complete_if_all_joined(now)

    def _why_not(self, request: JoinRequest) -> Code:
        if request.member_id and request.member_id not in self.members and request.member_id not in self._promised:
            return Code.UNKNOWN_MEMBER_ID
        if request.member_id and self.member_of(request.instance_id) not in {"", request.member_id}:
            return Code.FENCED_INSTANCE_ID
        others = [m.request for name, m in self.members.items() if name != request.member_id]
        common = set(request.protocols).intersection(*(set(other.protocols) for other in others))
        if not common or any(other.protocol_type != request.protocol_type for other in others):
            return Code.INCONSISTENT_GROUP_PROTOCOL
        return Code.NONE

    def _take_over(self, member_id: str, request: JoinRequest, now: float, answer: Callable[[Joined], None]) -> bool:
        """A restarted static member steps into its old place; in a stable group nobody else notices."""
        old_id = self.member_of(request.instance_id)
        if not old_id:
            return False
        old = self.members.pop(old_id)
        if old.on_joined is not None:
            old.on_joined(Joined(Code.FENCED_INSTANCE_ID, old_id))
        self._answer_sync(old, Synced(Code.FENCED_INSTANCE_ID), now)
        fresh = Member(request, now + request.session_s, old.assignment)
        self.members[member_id] = fresh
        leader, self.leader = self.leader, member_id if self.leader == old_id else self.leader
        if self.state is State.STABLE and dict(old.request.protocols) == dict(request.protocols):
            # The old leader's id tells a new leader that there is nothing to assign (as Kafka does).
            answer(Joined(Code.NONE, member_id, self.generation, self.protocol, leader))
            return True
        fresh.on_joined = answer
        self._prepare(now)
        self._complete_if_all_joined(now)
        return True

    def _prepare(self, now: float) -> None:
        if self.state is State.PREPARING:
            return
        self._is_first_join = self.state is State.EMPTY
        self.state = State.PREPARING
        for member in self.members.values():
            self._answer_sync(member, Synced(Code.REBALANCE_IN_PROGRESS), now)
        longest = max((m.request.rebalance_s for m in self.members.values()), default=0.0)
        self._join_ends_at = now + (FIRST_JOIN_DELAY_S if self._is_first_join else longest)

    def _complete_if_all_joined(self, now: float) -> None:
        if self._is_first_join or any(m.on_joined is None for m in self.members.values()):
            return
        self.generation += 1
        if not self.members:
            self.state, self.leader, self.protocol = State.EMPTY, "", ""
            return
        self.state = State.COMPLETING
        requests = [m.request for m in self.members.values()]
        common = set(requests[0].protocols).intersection(*(set(r.protocols) for r in requests))
        self.protocol = next(name for name in requests[0].protocols if name in common)
        if self.leader not in self.members:
            self.leader = next(iter(self.members))
        everyone = tuple(
            (name, m.request.instance_id, m.request.protocols[self.protocol]) for name, m in self.members.items()
        )
        for name, member in self.members.items():
            answer, member.on_joined = member.on_joined, None
            member.expires_at = now + member.request.session_s
            if answer is not None:
                told = everyone if name == self.leader else ()
                answer(Joined(Code.NONE, name, self.generation, self.protocol, self.leader, told))

    def _remove(self, member_id: str, now: float) -> None:
        member = self.members.pop(member_id)
        if member.on_joined is not None:
            member.on_joined(Joined(Code.UNKNOWN_MEMBER_ID, member_id))
        self._answer_sync(member, Synced(Code.UNKNOWN_MEMBER_ID), now)
        if self.members:
            self._prepare(now)
        else:
            self._is_first_join, self.state = False, State.PREPARING
        self._complete_if_all_joined(now)

    @staticmethod
    def _answer_sync(member: Member, synced: Synced, now: float) -> None:
        if member.on_synced is not None:
            member.on_synced(synced)
            member.on_synced, member.expires_at = None, now + member.request.session_s
