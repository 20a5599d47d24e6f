"""The group state machine, driven by a clock of our own."""

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from burstwatch.broker.codes import Code
from burstwatch.broker.group import FIRST_JOIN_DELAY_S, Group, Joined, JoinRequest, State, Synced

SESSION_S, REBALANCE_S = 6.0, 10.0


class Drive:
    """A group and a clock; keeps every answer by the name the test gave the member."""

    def __init__(self) -> None:
        self.group, self.now = Group("g"), 100.0
        self.joined: dict[str, Joined] = {}
        self.synced: dict[str, Synced] = {}
        self.waiting: set[str] = set()

    def join(self, name: str, member_id: str = "", *, instance: str | None = None,
             protocols: Mapping[str, bytes] | None = None, must_know_id: bool = False) -> None:  # fmt: skip
        request = JoinRequest(
            member_id=member_id, instance_id=instance, client_id=name, protocol_type="consumer",
            protocols=protocols or {"range": b"about " + name.encode()}, session_s=SESSION_S,
            rebalance_s=REBALANCE_S, must_know_id=must_know_id,
        )  # fmt: skip
        self.waiting.add(name)

        def answer(joined: Joined) -> None:
            self.joined[name] = joined
            self.waiting.discard(name)

        self.group.join(request, self.now, answer)

    def sync(self, name: str, assignments: Mapping[str, bytes] | None = None) -> None:
        joined = self.joined[name]
        self.group.sync(
            joined.member_id, joined.generation, assignments or {}, now=self.now,
            answer=lambda synced: self.synced.__setitem__(name, synced),
        )  # fmt: skip

    def rejoin(self, name: str) -> None:
        self.join(name, self.joined[name].member_id)

    def heartbeat(self, name: str) -> Code:
        return self.group.heartbeat(self.joined[name].member_id, self.joined[name].generation, self.now)

    def advance(self, seconds: float) -> None:
        """Let time pass, ticking at each deadline on the way, as the coordinator's timer does."""
        until = self.now + seconds
        while (deadline := self.group.deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.group.tick(self.now)
        self.now = until

    def settle(self) -> None:
        """Everybody who is out of date joins and syncs until the group is stable."""
        self.advance(FIRST_JOIN_DELAY_S)
        for name, joined in self.joined.items():
            if joined.code is Code.NONE and joined.generation == self.group.generation:
                wanted = {m: b"for " + m.encode() for m, _, _ in joined.members}
                self.sync(name, wanted)


def stable(*names: str) -> Drive:
    drive = Drive()
    for name in names:
        drive.join(name)
    drive.settle()
    assert drive.group.state is State.STABLE
    return drive


def test_members_that_come_together_share_the_first_generation():
    drive = stable("a", "b", "c")
    assert {1} == {joined.generation for joined in drive.joined.values()}
    leaders = [name for name, joined in drive.joined.items() if joined.leader == joined.member_id]
    assert ["a"] == leaders
    assert 3 == len(drive.joined["a"].members)
    assert () == drive.joined["b"].members
    for name, synced in drive.synced.items():
        assert (Code.NONE, b"for " + drive.joined[name].member_id.encode()) == synced


def test_a_new_member_waits_until_the_others_have_joined_again():
    drive = stable("a")
    drive.join("b")
    assert "b" not in drive.joined
    assert drive.heartbeat("a") is Code.REBALANCE_IN_PROGRESS
    drive.rejoin("a")
    assert 2 == drive.joined["b"].generation == drive.joined["a"].generation
    assert drive.group.state is State.COMPLETING


def test_who_does_not_join_again_in_time_is_put_out():
    drive = stable("a", "b")
    drive.join("c")
    drive.rejoin("a")
    for _ in range(int(REBALANCE_S)):  # b lives, but never joins
        drive.heartbeat("b")
        drive.advance(1.0)
    drive.advance(0.1)
    assert 2 == drive.joined["c"].generation
    assert 2 == len(drive.group.members)
    assert drive.heartbeat("b") is Code.UNKNOWN_MEMBER_ID


def test_a_silent_member_is_put_out_when_its_session_ends_and_not_before():
    drive = stable("a", "b")
    for _ in range(5):
        drive.advance(1.0)
        assert drive.heartbeat("a") is Code.NONE
    drive.advance(0.9)
    assert 2 == len(drive.group.members)
    drive.advance(0.2)
    assert drive.heartbeat("a") is Code.REBALANCE_IN_PROGRESS
    drive.rejoin("a")
    assert (2, 1) == (drive.joined["a"].generation, len(drive.joined["a"].members))


def test_a_group_whose_members_all_died_is_empty_again():
    drive = stable("a", "b")
    drive.advance(SESSION_S + 0.1)
    assert (State.EMPTY, {}, None) == (drive.group.state, drive.group.members, drive.group.deadline())
    drive.join("c")
    drive.settle()
    assert drive.group.state is State.STABLE
    assert drive.joined["c"].generation > 1


def test_a_leader_that_dies_before_it_assigns_does_not_hold_the_others_up():
    drive = Drive()
    drive.join("a")
    drive.join("b")
    drive.advance(FIRST_JOIN_DELAY_S)
    drive.sync("b")  # waits for a, which is dead
    drive.advance(SESSION_S + 0.1)
    assert drive.synced["b"].code is Code.REBALANCE_IN_PROGRESS
    drive.rejoin("b")
    assert drive.joined["b"].leader == drive.joined["b"].member_id


def test_a_member_that_leaves_gives_its_work_back_at_once():
    drive = stable("a", "b")
    assert drive.group.leave(drive.joined["b"].member_id, drive.now) is Code.NONE
    assert drive.heartbeat("a") is Code.REBALANCE_IN_PROGRESS
    assert drive.group.leave("stranger", drive.now) is Code.UNKNOWN_MEMBER_ID


def test_a_member_that_must_know_its_id_first_is_told_it_and_forgotten_if_it_never_comes():
    drive = Drive()
    drive.join("a", must_know_id=True)
    told = drive.joined["a"]
    assert told.code is Code.MEMBER_ID_REQUIRED
    drive.join("a", told.member_id, must_know_id=True)
    drive.settle()
    assert drive.joined["a"].member_id == told.member_id
    drive.join("b", must_know_id=True)
    drive.advance(SESSION_S + 0.1)
    drive.join("b", drive.joined["b"].member_id, must_know_id=True)
    assert drive.joined["b"].code is Code.UNKNOWN_MEMBER_ID


def test_members_without_a_protocol_in_common_are_refused():
    drive = stable("a")
    drive.join("b", protocols={"roundrobin": b""})
    assert drive.joined["b"].code is Code.INCONSISTENT_GROUP_PROTOCOL
    assert drive.heartbeat("a") is Code.NONE


def test_the_protocol_is_one_that_all_members_speak():
    drive = Drive()
    drive.join("a", protocols={"sticky": b"1", "range": b"2"})
    drive.join("b", protocols={"range": b"3"})
    drive.advance(FIRST_JOIN_DELAY_S)
    assert "range" == drive.joined["a"].protocol
    assert {b"2", b"3"} == {metadata for _, _, metadata in drive.joined["a"].members}


def test_a_static_member_that_comes_back_gets_its_place_and_the_old_one_is_fenced():
    drive = Drive()
    drive.join("a", instance="one")
    drive.join("b", instance="two")
    drive.settle()
    old, assignment = drive.joined["a"], drive.synced["a"].assignment
    drive.join("a", instance="one", protocols=drive.group.members[old.member_id].request.protocols)
    new = drive.joined["a"]
    assert (Code.NONE, old.generation) == (new.code, new.generation)
    assert new.member_id != old.member_id
    assert new.leader != new.member_id  # so that it does not assign anew
    drive.sync("a")
    assert (Code.NONE, assignment) == drive.synced["a"]
    assert drive.heartbeat("b") is Code.NONE
    assert drive.group.check(old.member_id, old.generation, "one") is Code.FENCED_INSTANCE_ID
    # the next real rebalance has a leader that exists
    drive.join("c")
    drive.rejoin("a")
    drive.rejoin("b")
    assert drive.joined["a"].leader in drive.group.members


steps = st.lists(
    st.tuples(
        st.sampled_from(["join", "rejoin", "sync", "heartbeat", "leave", "wait", "wait long"]),
        st.sampled_from(["a", "b", "c"]),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_whatever_members_do_nobody_waits_for_ever_and_generations_only_grow(story):
    drive, generation = Drive(), 0
    for what, name in story:
        known = name in drive.joined and drive.joined[name].member_id in drive.group.members
        if what == "join" and not known and name not in drive.waiting:
            drive.join(name)
        elif what == "rejoin" and known:
            drive.rejoin(name)
        elif what == "sync" and known:
            drive.sync(name, {m: b"x" for m, _, _ in drive.joined[name].members})
        elif what == "heartbeat" and known:
            drive.heartbeat(name)
        elif what == "leave" and known:
            drive.group.leave(drive.joined[name].member_id, drive.now)
        elif what.startswith("wait"):
            drive.advance(1.0 if what == "wait" else 7.0)
        assert drive.group.generation >= generation
        generation = drive.group.generation
        if drive.group.state is State.STABLE:
            assert drive.group.leader in drive.group.members
        assert (drive.group.state is State.EMPTY) == (not drive.group.members)
    drive.advance(2 * (SESSION_S + REBALANCE_S))  # all fall silent
    assert not drive.waiting
    assert (State.EMPTY, None) == (drive.group.state, drive.group.deadline())
