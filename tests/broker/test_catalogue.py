"""The journal of topics, offsets and producer ids: reopened at any moment, it says the same."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from burstwatch.broker.catalogue import Catalogue

WEEK_MS = 7 * 86_400_000

names = st.sampled_from(["t", "u"])
changes = st.one_of(
    st.tuples(
        st.just("topic"),
        names,
        st.integers(1, 5),
        st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    ),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("start"), names, st.integers(0, 3), st.integers(0, 10**12)),
    st.tuples(st.just("commit"), names, st.integers(0, 3), st.integers(0, 10**12), st.text(max_size=10)),
    st.tuples(st.just("delete group")),
    st.tuples(st.just("producer")),
)


def state(catalogue: Catalogue) -> tuple:
    return catalogue.topics, catalogue.offsets


def change(catalogue: Catalogue, what: tuple, ids: list[int]) -> None:
    match what:
        case ("topic", name, partitions, configs):
            catalogue.set_topic(name, partitions, configs)
        case ("delete", name):
            catalogue.delete_topic(name)
        case ("start", name, partition, offset):
            if name in catalogue.topics:
                catalogue.set_start(name, partition, offset)
        case ("commit", topic, partition, offset, note):
            catalogue.commit("g", [(topic, partition, offset, note)], 5)
        case ("delete group",):
            catalogue.delete_group("g")
        case ("producer",):
            ids.append(catalogue.next_producer_id())


@settings(max_examples=60, deadline=None)
@given(story=st.lists(changes, max_size=30), torn=st.binary(max_size=30), rewrite=st.booleans())
def test_a_reopened_journal_knows_everything_whatever_a_crash_left_at_its_end(tmp_path_factory, story, torn, rewrite):
    path, ids = tmp_path_factory.mktemp("c") / "catalogue.jsonl", []
    catalogue = Catalogue(path)
    for what in story:
        change(catalogue, what, ids)
    if rewrite:
        catalogue._rewrite()
    before = state(catalogue)
    catalogue.close()
    with path.open("ab") as file:
        file.write(torn.replace(b"\n", b""))
    again = Catalogue(path)
    assert before == state(again)
    ids.append(again.next_producer_id())
    assert len(ids) == len(set(ids))
    again.close()
    assert before == state(Catalogue(path))


def test_the_journal_does_not_grow_with_commits(tmp_path: Path):
    path = tmp_path / "catalogue.jsonl"
    catalogue = Catalogue(path)
    catalogue.set_topic("t", 1, {})
    sizes = []
    for offset in range(30_000):
        catalogue.commit("g", [("t", 0, offset, "")], WEEK_MS)
        if offset % 1000 == 0:
            catalogue.tidy(WEEK_MS, set())
            sizes.append(path.stat().st_size)
    assert max(sizes) < 1_000_000
    catalogue.commit("g", [("t", 0, 99, "")], WEEK_MS)
    catalogue.close()
    assert Catalogue(path).offsets["g"][("t", 0)].offset == 99


def test_groups_that_ended_are_forgotten_after_a_week_but_not_while_they_have_members(tmp_path: Path):
    catalogue = Catalogue(tmp_path / "catalogue.jsonl")
    for group in ("gone", "busy", "fresh"):
        catalogue.commit(group, [("t", 0, 1, "")], 1000 if group != "fresh" else WEEK_MS)
    catalogue.tidy(1000 + WEEK_MS, {"busy"})
    assert {"gone", "busy", "fresh"} == set(catalogue.offsets)
    catalogue.tidy(1001 + WEEK_MS, {"busy"})
    assert {"busy", "fresh"} == set(catalogue.offsets)


def test_producer_ids_are_not_given_again_after_a_crash(tmp_path: Path):
    path, seen = tmp_path / "catalogue.jsonl", []
    for _ in range(3):  # no close: as after kill -9
        catalogue = Catalogue(path)
        seen += [catalogue.next_producer_id() for _ in range(1500)]
    assert len(seen) == len(set(seen))
