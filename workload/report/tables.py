"""Tables of a page. Pure text work."""

from collections.abc import Sequence

from workload.report.page import Cell, Html, element, joined


def table(
    header: Sequence[Cell], rows: Sequence[Sequence[Cell]], *, caption: Cell = "", words: int = 1, wide: bool = False
) -> Html:
    """Return a table; its first ``words`` columns are text, the others numbers, aligned to the right.

    Every cell is escaped unless it is ``Html``. ``wide`` lets it take the page's whole width.
    """
    head = element("tr", *(_cell("th", cell, place >= words, scope="col") for place, cell in enumerate(header)))
    body = [_row(row, words) for row in rows]
    told = [element("caption", caption)] if caption else []
    whole = element("table", *told, element("thead", head), element("tbody", *body))
    return element("div", whole, class_="scroll wide" if wide else "scroll")


def _row(row: Sequence[Cell], words: int) -> Html:
    first, *others = row
    cells = [_cell("td", cell, place >= words) for place, cell in enumerate(others, 1)]
    return element("tr", element("th", first, scope="row"), *cells)


def _cell(tag: str, cell: Cell, is_number: bool, **attributes: str) -> Html:  # noqa: FBT001 - private, by place
    return element(tag, cell, **({"class_": "n"} if is_number else {}), **attributes)


def pairs(rows: Sequence[tuple[Cell, Cell]]) -> Html:
    """Return a list of names and what they are, for what has no columns."""
    return element("dl", *(joined([element("dt", a), element("dd", b)]) for a, b in rows), class_="pairs")
