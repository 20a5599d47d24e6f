"""A broker that is away must not fill the disk with log lines, nor hide what else is said."""

import logging

from streams.quiet_log import EVERY_S, KEPT_MAX, Quiet


def lines(said: list[tuple[float, str, str, tuple]]) -> list[str]:
    now = 0.0
    quiet = Quiet(("aiokafka", "faust"), lambda: now)
    passed = []
    for at, name, text, args in said:
        now = at
        record = logging.LogRecord(name, logging.ERROR, "f", 1, text, args, None)
        if quiet.filter(record):
            passed.append(record.getMessage())
    return passed


def test_the_same_message_passes_once_in_a_while_and_is_counted():
    said = [(i / 10, "aiokafka.client", "no node %s: %s", (1, i)) for i in range(700)]
    assert lines(said) == [
        "no node 1: 0",
        "no node 1: 300 (and 299 alike before)",
        "no node 1: 600 (and 299 alike before)",
    ]


def test_other_messages_and_our_own_are_never_held_back():
    own = [(0.0, "streams.worker.flow", "snapshot=failed", ())] * 5
    assert lines([*own, (0.0, "aiokafka", "a %s", (1,)), (0.0, "aiokafka", "b %s", (1,))]) == [
        *["snapshot=failed"] * 5,
        "a 1",
        "b 1",
    ]
    assert lines([(0.0, "aiokafkaesque", "x", ())] * 2) == ["x", "x"]


def test_texts_without_arguments_are_alike_by_their_beginning():
    text = "_on_published error for message topic llm.windows error "
    assert lines([(1.0, "faust.topics", text + str(i), ()) for i in range(5)]) == [text + "0"]


def test_what_is_no_warning_passes_each_time():
    quiet = Quiet(("streams.capture",), lambda: 0.0)
    for level, passes in (
        (logging.INFO, True),
        (logging.INFO, True),
        (logging.WARNING, True),
        (logging.WARNING, False),
    ):
        assert quiet.filter(logging.LogRecord("streams.capture.tap", level, "f", 1, "x", (), None)) is passes


def test_memory_is_bounded():
    quiet = Quiet(("faust",), lambda: 0.0)
    for i in range(3 * KEPT_MAX):
        quiet.filter(logging.LogRecord("faust", logging.ERROR, "f", 1, f"{i}", (), None))
    assert len(quiet._seen) <= KEPT_MAX
    assert EVERY_S > 1
