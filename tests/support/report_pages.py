"""Reads a report's page as a browser would: its words, tags, ids, links and drawings."""

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

_SVG = re.compile(r"<svg .*?</svg>", re.DOTALL)
_NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'


@dataclass
class Page(HTMLParser):
    """One page. ``words`` is what a reader sees, blanks made single; of tags, those with what they carry."""

    html: str
    words: str = ""
    tags: Counter = field(default_factory=Counter)
    ids: Counter = field(default_factory=Counter)
    links: list = field(default_factory=list)
    attributes: set = field(default_factory=set)

    def __post_init__(self):
        super().__init__(convert_charrefs=True)
        self.feed(self.html)
        self.words = re.sub(r"\s+", " ", self.words)

    __hash__ = object.__hash__

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids[value] += 1
            if name in {"href", "src"}:
                self.links.append(value)

    def handle_data(self, data):
        if not self.html.startswith(data, self.html.find("<style>") + len("<style>")):
            self.words += data + " "

    @property
    def drawings(self):
        return [ET.fromstring(svg) for svg in _SVG.findall(self.html)]  # noqa: S314 - our own pages

    def assert_harmless(self):
        """No script, no handler, nothing fetched, every id once and every link to one of them."""
        assert not {"script", "iframe", "object", "embed", "img", "link", "base", "form"} & set(self.tags)
        assert not [name for name in self.attributes if name.startswith("on")]
        assert "http" not in self.html.replace(_NAMESPACE, "")
        assert "url(" not in re.sub(r"url\(#[\w.-]+\)", "", self.html)
        assert not [name for name, n in self.ids.items() if n > 1]
        assert self.links
        assert not [link for link in self.links if link[0] != "#" or link[1:] not in self.ids]
        assert not re.findall(r"#0f0e[0-9a-f]{2}", re.sub(r">[^<]*<", "><", self.html)), "a colour nobody defined"
        assert not re.search(r"\b(?:nan|inf|None)\b", re.sub(r"None of", "", self.words)), "a number that is none"
