"""The runbook as a page of its own: the project's Markdown with an anchor per alert. The only Markdown reader."""

from html import escape
from importlib.resources import files
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Runbook - Burstwatch</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/page.css">
<script src="/static/theme.js"></script>
</head>
<body class="runbook">
<header class="bar"><a class="brand" href="/">Burstwatch</a></header>
<main>
{body}</main>
</body>
</html>
"""


def read_runbook() -> str:
    """Return the runbook's Markdown, from the installed package."""
    return (files("dashboards") / "runbook.md").read_text(encoding="utf-8")


def runbook_page(markdown: str) -> str:
    """Return the runbook as HTML. A heading's id is its text in lower case, as alerts' ``runbook_url`` has it.

    HTML inside the Markdown is shown, not obeyed.
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(markdown)
    contents = []
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", _anchor(inline))
            if opening.tag == "h2":
                contents.append(f'<li><a href="#{_anchor(inline)}">{escape(_text(inline))}</a></li>')
    body = reader.renderer.render(tokens, reader.options, {})
    listed = '</h1>\n<nav aria-label="Alerts"><ul>\n{}\n</ul></nav>'.format("\n".join(contents))
    return _PAGE.format(body=body.replace("</h1>", listed, 1))


def _text(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ())


def _anchor(inline: Token) -> str:
    return "".join(c if c.isalnum() else "-" for c in _text(inline).lower()).strip("-")
