"""A partition as the changelog holds it: which snapshots count, and from where the log must be read again."""

from collections.abc import Mapping

from streams.worker.kit import C, S, ServiceKit
from streams.worker.ownership import PartitionState, Restored, contains
from streams.worker.records import PartitionRecord, parse_record, partition_key, service_key, services_in
from streams.worker.roster import Roster


def restore(partition: int, changelog: Mapping[bytes, bytes], kit: ServiceKit[S, C]) -> PartitionState[S, C]:
    """Return the partition as ``changelog`` (latest body per key) holds it.

    Reading resumes after the offset up to which the record calls everything saved, or earlier: after a service's
    snapshot that is older than the record says; where a service began if its snapshot is missing or unreadable; at
    0 if there are snapshots but no record.
    A snapshot the record does not name is kept aside if it is newer than the record (its service was taken up
    afterwards, and will be again), else erased: its service had given up its place.
    """
    names = services_in(partition, changelog)
    states: dict[str, S] = {}
    unreadable = []
    for name in names:
        try:
            states[name] = kit.restore(changelog[service_key(partition, name)])
        except kit.bad:
            unreadable.append(name)
    record, roster = _record(partition, changelog, kit.services_max)
    if record is None:
        found: Restored[S] = Restored(roster=roster, ahead=states, broken=unreadable)
        found.next_offset = 0 if names else None
        return PartitionState(partition, kit, found)
    found = Restored(roster=roster, low=record.low)
    needed = [record.low, *_take_named(found, record, states)]
    found.ahead = {name: state for name, state in states.items() if state.offset > roster.decided}
    named = {*roster.members, *record.saved}
    found.gone = [name for name in names if name not in found.ahead and name not in named]
    found.next_offset = found.durable_offset = min(needed) + 1
    return PartitionState(partition, kit, found)


def _record(partition: int, changelog: Mapping[bytes, bytes], limit: int) -> tuple[PartitionRecord | None, Roster]:
    record = parse_record(changelog.get(partition_key(partition)))
    try:
        if record is not None:
            return record, Roster.load(partition, limit, record.roster)
    except (KeyError, TypeError, ValueError):
        pass
    return None, Roster(partition, limit)


def _take_named(found: Restored[S], record: PartitionRecord, states: dict[str, S]) -> list[int]:
    """Move the states of the services the record names into ``found``; return up to where the others are saved."""
    behind = {}
    for name in [*found.roster.members, found.roster.other]:
        since, saved = found.roster.since(name), record.saved.get(name)
        state = states.pop(name, None)
        if state is not None and contains(state.offset, since):
            found.services[name] = state
            if saved is not None and state.offset < saved:
                behind[name] = state.offset
        elif saved is not None:
            found.broken.append(name)
            behind[name] = since - 1
    found.behind = frozenset(behind)
    return list(behind.values())
