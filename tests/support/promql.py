"""PromQL as a tree, as far as the rules use it: to take a rule's comparison away and see what it watches.

Prometheus 2.42 has no interface that gives an expression's tree. Strings, numbers, selectors and durations are kept as
they stand; only what combines them is understood. A test lets Prometheus itself format what is printed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}
_LEVELS = ({"or"}, {"and", "unless"}, COMPARISONS, {"+", "-"}, {"*", "/", "%", "atan2"}, {"^"})
_AGGREGATIONS = {
    "sum",
    "min",
    "max",
    "avg",
    "group",
    "count",
    "quantile",
    "topk",
    "bottomk",
    "count_values",
    "stddev",
    "stdvar",
}
_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<braces>\{(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^"'{}])*\})
    | (?P<range>\[[^\]]*\])
    | (?P<word>(?:\d[\w.]*(?:[eE][+-]?\d+)?|[a-zA-Z_:][\w:.]*))
    | (?P<sign>==|!=|>=|<=|[-+*/%^<>(),])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Leaf:
    """A selector, a number or a string with all that follows it (range, offset), as it stands."""

    text: str


@dataclass(frozen=True)
class Call:
    """A function or an aggregation; `clause` is by (...) or without (...), `after` a range or an offset behind it."""

    name: str
    arguments: tuple[Node, ...]
    clause: str = ""
    after: str = ""


@dataclass(frozen=True)
class Binary:
    """Two sides; `matching` is on (...), group_left (...) and the like; a comparison may be `bool`."""

    operator: str
    left: Node
    right: Node
    matching: str = ""
    bool: bool = False


Node = Leaf | Call | Binary


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise ValueError(f"not understood at {text[at : at + 30]!r}")
            if found.lastgroup != "space":
                self._tokens.append((str(found.lastgroup), found[0]))
            at = found.end()
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise ValueError(f"expected {wanted or 'more'}, found {token!r}")
        self._at += 1
        return token

    def expression(self, level: int = 0) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self.expression(level + 1)
        while self.peek() in _LEVELS[level]:
            operator = self.take()
            is_bool = self.peek() == "bool" and bool(self.take())
            matching = " ".join(self._clauses({"on", "ignoring", "group_left", "group_right"}))
            # ^ binds to the right, all others to the left.
            right = self.expression(level if operator == "^" else level + 1)
            left = Binary(operator, left, right, matching, is_bool)
        return left

    def _clauses(self, names: set[str]) -> Iterator[str]:
        while self.peek() in names:
            name, labels = self.take(), ""
            if self.peek() == "(":
                self.take("(")
                while self.peek() != ")":
                    labels += self.take().replace(",", ", ")
                self.take(")")
            yield f"{name} ({labels})"

    def _unary(self) -> Node:
        if self.peek() in {"-", "+"}:
            return Call(self.take(), (self._unary(),))
        if self.peek() == "(":
            self.take("(")
            inner = self.expression()
            self.take(")")
            after = self._after()
            return Call("", (inner,), after=after) if after else inner
        kind = self._tokens[self._at][0] if self.peek() else ""
        text = self.take()
        if kind == "word" and text in _AGGREGATIONS and self.peek() in {"(", "by", "without"}:
            before = " ".join(self._clauses({"by", "without"}))
            arguments = self._arguments()
            return Call(text, arguments, before or " ".join(self._clauses({"by", "without"})))
        if kind == "word" and self.peek() == "(":
            return Call(text, self._arguments(), after=self._after())
        if kind == "word" and self.peek().startswith("{"):
            text += self.take()
        if kind == "sign":
            raise ValueError(f"{text!r} where an expression should begin")
        return Leaf(text + self._after())

    def _arguments(self) -> tuple[Node, ...]:
        self.take("(")
        found = []
        while self.peek() != ")":
            found.append(self.expression())
            if self.peek() == ",":
                self.take()
        self.take(")")
        return tuple(found)

    def _after(self) -> str:
        text = ""
        while True:
            if self.peek().startswith("["):
                text += self.take()
            elif self.peek() == "offset":
                text += f" {self.take()} {self.take()}"
            else:
                return text


def parse(text: str) -> Node:
    """Return the tree.

    Raises ValueError for what is not understood.
    """
    parser = _Parser(text)
    tree = parser.expression()
    if parser.peek():
        raise ValueError(f"{parser.peek()!r} is left over")
    return tree


def write(node: Node) -> str:
    """Return the expression; every pair of sides stands in parentheses."""
    if isinstance(node, Leaf):
        return node.text
    if isinstance(node, Binary):
        words = [node.operator, "bool" if node.bool else "", node.matching]
        return f"({write(node.left)} {' '.join(word for word in words if word)} {write(node.right)})"
    if node.name in {"-", "+"}:
        return f"{node.name}{write(node.arguments[0])}"
    inner = ", ".join(write(argument) for argument in node.arguments)
    clause = f" {node.clause} " if node.clause else ""
    return f"{node.name}{clause}({inner}){node.after}"


def leaves(node: Node) -> Iterator[str]:
    """Yield the selectors, numbers and strings."""
    if isinstance(node, Leaf):
        yield node.text
        return
    for part in (node.left, node.right) if isinstance(node, Binary) else node.arguments:
        yield from leaves(part)


def nodes(node: Node) -> Iterator[Node]:
    """Yield the node and all under it."""
    yield node
    if not isinstance(node, Leaf):
        for part in (node.left, node.right) if isinstance(node, Binary) else node.arguments:
            yield from nodes(part)


def watched(text: str) -> list[str]:
    """Return what a rule's expression watches: expressions that each return a series when all it names is exported.

    A comparison becomes `bool`, so it says 0 or 1 and drops nothing, and its matching of labels stays. Each side of an
    `or` is one expression of its own; what stands behind `unless` is looked at by itself. What asks for other alerts
    (ALERTS) is left out: it holds an alert that fires, and nothing fires where all is well. An `offset` goes too: what
    there is now need not have been there then.
    """
    tree = parse(re.sub(r"\boffset\s+-?\w+", "", text))
    asked = [write(one) for one in _alternatives(tree)]
    for node in nodes(tree):
        if isinstance(node, Binary) and node.operator == "unless":
            asked += [write(one) for one in _alternatives(node.right)]
    return list(dict.fromkeys(one for one in asked if not _of_alerts(one)))


def _of_alerts(text: str) -> bool:
    return re.search(r"\bALERTS(_FOR_STATE)?\b", text) is not None


def _alternatives(node: Node) -> list[Node]:
    if isinstance(node, Leaf):
        return [node]
    if isinstance(node, Call):
        return [replace(node, arguments=parts) for parts in product(*map(_alternatives, node.arguments))]
    if node.operator == "unless":
        return _alternatives(node.left)
    if node.operator == "or":
        return [*_alternatives(node.left), *_alternatives(node.right)]
    compared = node.operator in COMPARISONS
    sides = product(_alternatives(node.left), _alternatives(node.right))
    return [replace(node, left=left, right=right, bool=node.bool or compared) for left, right in sides]
