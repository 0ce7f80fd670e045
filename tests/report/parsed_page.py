"""A page as a browser's parser sees it: elements, what they say, and whether every one is closed."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "br", "hr", "img", "input", "link"}


@dataclass
class Node:
    """An element; `said` is all text in it."""

    tag: str
    attributes: dict[str, str]
    said: str = ""
    children: list[Node] = field(default_factory=list)

    def all(self, tag: str, **attributes: str) -> list[Node]:
        """The elements in it with a tag and these attributes, in order."""
        found = []
        for child in self.children:
            if child.tag == tag and attributes.items() <= child.attributes.items():
                found.append(child)
            found += child.all(tag, **attributes)
        return found


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Node("document", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice: {names}"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in _VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for node in self.open:
            node.said += data


def parsed(text: str) -> Node:
    """The document; every element is closed in its turn."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    assert [node.tag for node in parser.open] == ["document"]
    return parser.open[0]
