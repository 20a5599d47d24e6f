"""A self-contained HTML page: inline style, inline SVG, no script, nothing fetched. Pure text work.

Whatever comes from a trace (model names, reasons, file names) is hostile until escaped: ``Html`` marks what is safe,
and everything else that goes into a page passes ``text``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TypeAlias

_STYLE = Path(__file__).with_name("page.css")


class Html(str):
    """Markup that is safe to put into a page as it is."""

    __slots__ = ()


Cell: TypeAlias = str | Html


def text(words: Cell) -> Html:
    """Return words as markup: escaped, unless they are ``Html`` already.

    >>> text("<script>"), text(Html("<b>"))
    ('&lt;script&gt;', '<b>')
    """
    return words if isinstance(words, Html) else Html(escape(words))


def joined(parts: Sequence[Cell], between: str = "") -> Html:
    """Return the parts one after the other."""
    return Html(between.join(text(part) for part in parts))


def element(tag: str, *children: Cell, **attributes: str) -> Html:
    """Return an element; ``class_`` is written ``class``.

    >>> element("p", "a & b", class_="note")
    '<p class="note">a &amp; b</p>'
    """
    told = "".join(f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items())
    return Html(f"<{tag}{told}>{joined(children)}</{tag}>")


def paragraph(*words: Cell, kind: str = "") -> Html:
    """Return a paragraph; ``kind`` is a class of the page's style."""
    return element("p", *words, class_=kind) if kind else element("p", *words)


def how_to_read(*words: Cell) -> Html:
    """Return the sentence or two that say how a section is read and what is normal."""
    return paragraph(element("b", "How to read it. "), *words, kind="read")


def method(*words: Cell) -> Html:
    """Return how the numbers were made."""
    return paragraph(element("b", "Method. "), *words, kind="method")


def published(*words: Cell) -> Html:
    """Return what was published of BurstGPT, to compare with."""
    return paragraph(element("b", "Published. "), *words, kind="published")


def absent(*words: Cell) -> Html:
    """Return why there is nothing to show."""
    return paragraph(*words, kind="absent")


def listed(items: Sequence[Cell], kind: str = "") -> Html:
    """Return a list of sentences."""
    return element("ul", *(element("li", item) for item in items), **({"class_": kind} if kind else {}))


def figure(svg: str, caption: Cell = "", *, size: str = "half") -> Html:
    """Return a drawing of ``svg.for_page`` with what is to be seen under it."""
    return element("figure", Html(svg), *([element("figcaption", caption)] if caption else []), class_=size)


def side_by_side(*figures: Html) -> Html:
    """Return figures that stand beside each other where there is room."""
    return element("div", *figures, class_="plots")


def tiles(figures: Sequence[tuple[Cell, Cell, Cell]]) -> Html:
    """Return the numbers to see first: (what, number, a word beside it)."""
    return element(
        "dl",
        *(
            element("div", element("dt", what), element("dd", number, element("small", beside)))
            for what, number, beside in figures
        ),
        class_="tiles",
    )


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page. ``name`` is its anchor: letters, digits and ``-``."""

    name: str
    title: str
    body: Sequence[Html]


def page(title: str, lead: Sequence[Html], sections: Sequence[Section], foot: Cell) -> str:
    """Return the whole page; the table of contents lists the sections."""
    contents = element(
        "nav",
        element("ol", *(element("li", element("a", s.title, href=f"#{s.name}")) for s in sections)),
        class_="contents",
        aria_label="Contents",
    )
    body = [
        element("header", element("h1", title), *lead),
        contents,
        *(element("section", element("h2", s.title), *s.body, id=s.name) for s in sections),
        element("footer", foot),
    ]
    style = _STYLE.read_text(encoding="ascii")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )
