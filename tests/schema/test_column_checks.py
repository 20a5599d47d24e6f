"""The codec judges whole columns at once; a plain look at each value must come to the same verdict."""

import dataclasses
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.schema.codec import Batch, Coded, encode
from collector.schema.columns import COLUMNS, COUNT_MAX, TIME_US_MAX, Column, ColumnType
from collector.schema.errors import BadMessage
from collector.schema.events import Kind

EDGES = [-1, 0, 1, 2**31, COUNT_MAX, COUNT_MAX + 1, TIME_US_MAX, TIME_US_MAX + 1, 2**63, 2**64 - 1, 2**64, -(2**63)]
MOST = {ColumnType.TIME: TIME_US_MAX, ColumnType.COUNT: COUNT_MAX}

integers = st.sampled_from(EDGES) | st.integers(-3, 300) | st.integers(-(2**70), 2**70)
odd = st.booleans() | st.floats() | st.sampled_from(["", "1", "true", "null", "a b", [], [1], {}, {"1": 2}, b"1", 1j])
NUMBERS = [(kind, column) for kind in Kind for column in COLUMNS[kind] if column.type in {*MOST, ColumnType.FLAG}]


def _verdict(kind: Kind, column: Column, cells: object, n: int) -> bool:
    """Whether a batch is accepted in which ``column`` holds ``cells`` and every other column is in order."""
    columns = {}
    for other in COLUMNS[kind]:
        if other.type is ColumnType.CODED:
            columns[other.name] = Coded([min(other.allowed) if other.allowed else "ok"], [0] * n)
        elif not other.nullable:
            columns[other.name] = [1] * n if other.type is ColumnType.TIME else ["r"] * n
    columns[column.name] = cells
    try:
        encode(Batch(agent="a", boot="b", key="s", seq=0, kind=kind, n=n, columns=columns))
    except BadMessage as error:
        assert error.reason == "value"
        assert column.name in error.detail
        return False
    return True


def _is_number(column: Column, value: object) -> bool:
    if value is None:
        return column.nullable
    if column.type is ColumnType.FLAG:
        return type(value) is bool
    return type(value) is int and 0 <= value <= MOST[column.type]


@given(st.sampled_from(NUMBERS), st.lists(integers | st.none() | odd, min_size=1, max_size=4))
def test_a_number_column_is_taken_if_each_of_its_values_is(spec, values):
    kind, column = spec
    assert all(_is_number(column, value) for value in values) == _verdict(kind, column, values, len(values))


@pytest.mark.parametrize("spec", NUMBERS, ids=lambda spec: f"{spec[0].value}-{spec[1].name}")
def test_no_number_column_takes_a_value_of_another_type(spec):
    kind, column = spec
    for value in (*EDGES, None, True, False, 0.0, 1.5, 1e22, float("nan"), "1", "", [], [1], [[1, 2]], {}, {"a": 1}):
        for cells in ([value], [value, value]):
            assert _is_number(column, value) == _verdict(kind, column, cells, len(cells)), value


@given(st.sampled_from(["model", "log_type"]), st.integers(0, 3), st.lists(integers | odd, min_size=1, max_size=4))
@example("model", 2, [0, True])
@example("model", 1, [-1, 0])
@example("log_type", 1, [-1])
def test_codes_are_integers_that_point_into_their_dictionary(name, size, codes):
    column = next(column for column in COLUMNS[Kind.ARRIVAL] if column.name == name)
    values = (sorted(column.allowed) if column.allowed else ["one", "two", "three"])[:size]
    least = -1 if column.nullable else 0
    wanted = all(type(code) is int and least <= code < len(values) for code in codes)
    assert wanted == _verdict(Kind.ARRIVAL, column, Coded(values, codes), len(codes))


TEXTS = st.text(max_size=3) | st.sampled_from(["x" * 128, "x" * 129, "a\nb", "a b", "a\x7fb", "é", "\ud800", "!", "~"])


@given(st.lists(TEXTS | st.none() | odd, min_size=1, max_size=4))
def test_ids_and_names_are_taken_if_each_of_them_is_a_token(texts):
    wanted = all(isinstance(text, str) and re.fullmatch(r"[!-~]{1,128}", text) for text in texts)
    specs = {column.name: column for column in COLUMNS[Kind.ARRIVAL]}
    assert wanted == _verdict(Kind.ARRIVAL, specs["id"], texts, len(texts))
    try:
        unique = len(set(texts)) == len(texts)
    except TypeError:  # a list among them
        unique = False
    codes = list(range(len(texts)))
    assert (wanted and unique) == _verdict(Kind.ARRIVAL, specs["model"], Coded(texts, codes), len(texts))


def test_a_column_table_entry_is_complete():
    """The strategies above cover every type but ratios, which have no fast way."""
    types = {column.type for columns in COLUMNS.values() for column in columns}
    assert types == {*MOST, ColumnType.FLAG, ColumnType.RATIO, ColumnType.CODED, ColumnType.UNIQUE}
    assert {field.name for field in dataclasses.fields(Column)} == {"name", "type", "nullable", "allowed"}
