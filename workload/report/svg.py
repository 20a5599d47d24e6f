"""Drawings as matplotlib writes them -> SVG for a page: themed, small, with a title, and safe beside other drawings.

Pure text work; nothing here draws. The colours are told apart from ink by number: a drawing uses the sentinel
``sentinel("s0")`` and the page gets ``var(--s0)``, so that one drawing follows the reader's light or dark theme.
"""

import re
from html import escape

# Names of the page's colours (page.css) in the order of their sentinels.
COLOURS = (
    "text", "muted", "line", "card", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "good", "bad", "warn",
)  # fmt: skip
# Light-theme values: what a drawing shows where no page defines its colours (saved alone, or pasted elsewhere).
_ALONE = (
    "#1b1d21", "#5b616b", "#dcdcd6", "#ffffff", "#1d4ed8", "#b45309", "#047857", "#be185d", "#6d28d9", "#0e7490",
    "#854d0e", "#525252", "#15803d", "#dc2626", "#d97706",
)  # fmt: skip
_SENTINEL = re.compile(r"#0f0e([0-9a-f]{2})\b")
_LONG_NUMBER = re.compile(r"(?<![\w#.-])(-?\d+\.\d{2,})(?![\w.])")
_ID = re.compile(r'(\bid="|url\(#|xlink:href="#)([\w.-]+)')
_TAG = re.compile(r"<[^>]*>")
_FONT = re.compile(r"font-family: [^;\"]*;? ?|(?<=px )'[^;\"]*")
_NOT_NEEDED = re.compile(
    r"<metadata>.*?</metadata>|<!--.*?-->|<defs>\s*<style.*?</style>\s*</defs>|(?<=<g) id=\"[^\"]*\"", re.DOTALL
)


def sentinel(colour: str) -> str:
    """Return the colour to draw with so that the page's colour of that name appears. Raises ``ValueError`` if none."""
    return f"#0f0e{COLOURS.index(colour):02x}"


def for_page(drawn: str, *, name: str, title: str, description: str) -> str:
    """Return the drawing to put into a page.

    Args:
        drawn: a whole SVG file as matplotlib writes it.
        name: unique on the page, letters, digits and ``-``; every id of the drawing begins with it.
        title: what it shows, for those who cannot see it and as the pointer's hint. Escaped here.
        description: what can be read off it, in a sentence. Escaped here.
    """
    body = drawn[drawn.index("<svg") :]
    body = _NOT_NEEDED.sub("", body)
    body = _TAG.sub(lambda found: _tag(found[0], name), body)  # tags only: labels stay as they were written
    body = re.sub(r"\s+", " ", body).replace("> <", "><")
    head, _, rest = body.partition(">")
    head = re.sub(r' (?:width|height|version)="[^"]*"', "", head)
    look = "font-family:var(--font, sans-serif);stroke-linejoin:round;stroke-linecap:butt"
    told = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    return f'{head} role="img" aria-label="{escape(title)}" style="{look}">{told}{rest}'.strip()


def _tag(tag: str, name: str) -> str:
    tag = _SENTINEL.sub(_themed, tag)
    tag = _ID.sub(lambda found: f"{found[1]}{name}-{found[2]}", tag)
    tag = tag.replace("xlink:href", "href").replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    tag = _FONT.sub(lambda found: "" if found[0].startswith("font-family") else "sans-serif", tag)
    return _LONG_NUMBER.sub(lambda found: _short(found[1]), tag)


def _themed(found: re.Match[str]) -> str:
    place = int(found[1], 16)
    return f"var(--{COLOURS[place]}, {_ALONE[place]})"


def _short(number: str) -> str:
    """A tenth of a pixel is finer than any screen, and half the bytes."""
    return f"{float(number):.1f}".removesuffix(".0")
