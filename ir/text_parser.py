"""The parser of the text form that ``ir.text_printer`` writes.

Grammar, one rule a line; blank lines, and comments from ``#`` on, may stand anywhere:

    text      = { "body" "@" number "(" [results] ")" ":" graph } graph
    graph     = { result "=" op [ "!" tag ] [results] { field "=" value } [ ":" type ] [ "#" file ":" line ] } return
    return    = "return" [results]
    results   = result { "," result }            result = "%" name
    type      = "void" | dtype "[" [ dimension { "," dimension } ] "]"
    value     = literal | word | dtype | dimension | "$" name | "@" number | "(" [ value { "," value } [","] ] ")"
    dimension = term { ("+" | "-") term }        term = [ "-" ] number | [ number "*" ] name "[" low ".." high "]"

Every node is built by the same ``make_node`` as everywhere, hence checked and interned: the parse of a printed pure
graph is the identical graph. A type that is written is compared with the type that the op infers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from ir.dtype import DType, dtypes
from ir.node import Location, Node, TensorType, located, make_node, tagged
from ir.op import GraphError, Op
from ir.ops import OPS, Body
from ir.symbolic import Dimension, SymbolicError, Variable
from ir.text_printer import format_type, has_identity

T = TypeVar("T")


class TextError(ValueError):
    """The text is no graph: says the line, the column, what was found and what was expected."""


class Graph(NamedTuple):
    """What a text describes: its outputs, its parameters by number, and its buffers by name."""

    outputs: list[Node]
    parameters: dict[int, Node]
    buffers: dict[str, Node]


_TOKEN = re.compile(r"""
    (?P<comment> \#.* )
  | (?P<result>  %\w+ )
  | (?P<body>    @\w+ )
  | (?P<object>  \$\w+ )
  | (?P<float>   -?(?: \d+\.\d+(?:e[+-]?\d+)? | \d+e[+-]?\d+ | inf\b | nan\b ) )
  | (?P<int>     -?\d+ )
  | (?P<string>  "(?:[^"\\]|\\.)*" )
  | (?P<word>    [A-Za-z_]\w* )
  | (?P<sign>    \.\. | [=():,\[\]!*+-] )
  | (?P<other>   \S )
""", re.VERBOSE)

_LITERALS = {"True": True, "False": False, "None": None}


class Token(NamedTuple):
    kind: str
    text: str
    column: int


def parse_graph(text: str, buffers: Mapping[str, Node] | None = None) -> Graph:
    """The graph of a text.

    buffers: nodes to use for the buffers of these names (``ir.buffers_by_name`` gives those of a graph); a buffer
    whose name is not there is a new one whose handle is its name.

    Raises TextError with line and column where the text, an operand or a type is wrong.
    """
    return _Parser(buffers or {}).parse(text)


class _Line:
    """The tokens of one line and a position in them."""

    def __init__(self, number: int, text: str) -> None:
        self.number, self.comment = number, ""
        self.tokens: list[Token] = []
        for match in _TOKEN.finditer(text):
            kind, token = match.lastgroup or "other", match.group()
            if kind == "comment":
                self.comment = token[1:].strip()
            else:
                self.tokens.append(Token(kind, token, match.start() + 1))
        self.tokens.append(Token("end", "the end of the line", len(text) + 1))
        self.position = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.position]

    def error(self, message: str, token: Token | None = None) -> TextError:
        return TextError(f"line {self.number}, column {(token or self.next).column}: {message}")

    def take(self, kind: str, expected: str) -> Token:
        """The next token, which must be of this kind."""
        token = self.next
        if token.kind != kind:
            raise self.error(f"expected {expected}, got {token.text!r}")
        self.position += 1
        return token

    def accept(self, text: str) -> bool:
        """Step over the sign or word ``text`` if it comes next."""
        if self.next.text != text or self.next.kind == "string":
            return False
        self.position += 1
        return True

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.error(f"expected {text!r}, got {self.next.text!r}")

    def listed(self, element: Callable[[], T], closing: str) -> tuple[T, ...]:
        """Elements separated by commas up to and over ``closing``; a comma may follow the last."""
        elements: list[T] = []
        while not self.accept(closing):
            elements.append(element())
            if not self.accept(","):
                self.expect(closing)
                break
        return tuple(elements)


class _Parser:
    """Reads line by line. ``values`` are the results defined so far in the graph or body being read."""

    def __init__(self, buffers: Mapping[str, Node]) -> None:
        self.known_buffers = buffers
        self.graph = Graph([], {}, {})
        self.bodies: dict[str, Body] = {}
        self.values: dict[str, Node] = {}
        self.body: tuple[str, tuple[Token, ...]] | None = None
        self.finished = False

    def parse(self, text: str) -> Graph:
        number = 0
        for number, content in enumerate(text.splitlines(), 1):
            line = _Line(number, content)
            if line.next.kind == "end":
                continue
            if self.finished:
                raise line.error(f"expected nothing after the graph's return, got {line.next.text!r}")
            if line.accept("body"):
                self.begin_body(line)
            elif line.accept("return"):
                self.end_graph(line)
            else:
                self.define(line)
            line.take("end", "the end of the line")
        if not self.finished:
            raise TextError(f"line {number + 1}, column 1: expected 'return' at the end of the graph")
        return self.graph

    # ------------------------------------------------------------------------------------------------ lines

    def begin_body(self, line: _Line) -> None:
        if self.body is not None or self.values:
            raise line.error("expected 'return' before the next body begins", line.tokens[0])
        name = line.take("body", "the body's name, such as @0")
        if name.text in self.bodies:
            raise line.error(f"a body named {name.text} is already defined", name)
        line.expect("(")
        self.body = name.text, line.listed(lambda: line.take("result", "a parameter such as %0"), ")")
        line.expect(":")

    def end_graph(self, line: _Line) -> None:
        results = self.results(line)
        if self.body is None:
            self.graph.outputs.extend(results)
            self.finished = True
            return
        name, parameters = self.body
        for token in parameters:
            if token.text not in self.values:
                raise line.error(f"parameter {token.text} of body {name} is never defined", line.tokens[0])
        self.bodies[name] = Body(tuple(self.values[token.text] for token in parameters), results)
        self.body, self.values = None, {}

    def define(self, line: _Line) -> None:
        result = line.take("result", "a definition such as '%0 = ...', 'body' or 'return'")
        if result.text in self.values:
            raise line.error(f"{result.text} is already defined", result)
        line.expect("=")
        name = line.take("word", "the name of an operation")
        op = OPS.get(name.text)
        if op is None:
            raise line.error(f"there is no operation {name.text!r}", name)
        tag = int(line.take("int", "the tag's number").text) if line.accept("!") else 0
        operands = self.results(line)
        node = self.build(line, name, op, tag, operands, self.attributes(line, op))
        if line.accept(":"):
            self.check_type(line, node)
        self.values[result.text] = node
        if op.name == "parameter" and self.body is None:
            self.graph.parameters[node.attributes.number] = node

    def build(self, line: _Line, name: Token, op: Op, tag: int, operands: tuple[Node, ...], attributes: Any) -> Node:
        file, _, number = line.comment.rpartition(":")
        location = Location(file, int(number)) if number.isdecimal() else None
        try:
            with located(location), tagged(tag):
                node = make_node(op, operands, attributes)
        except (GraphError, SymbolicError, TypeError) as error:
            raise line.error(str(error), name) from error
        if has_identity(node):
            handle = next((v for v in attributes if isinstance(v, str)), "")
            node = self.graph.buffers.setdefault(handle, self.known_buffers.get(handle, node))
        return node

    def check_type(self, line: _Line, node: Node) -> None:
        written = line.next
        type_ = self.type(line)
        if type_ != node.type:
            raise line.error(f"this {node.op.name} has the type {format_type(node.type)}, not {format_type(type_)}",
                             written)

    # ------------------------------------------------------------------------------------------ parts of lines

    def results(self, line: _Line) -> tuple[Node, ...]:
        found = []
        while line.next.kind == "result":
            token = line.take("result", "a result")
            if token.text not in self.values:
                raise line.error(f"{token.text} is not defined above", token)
            found.append(self.values[token.text])
            if not line.accept(","):
                break
        return tuple(found)

    def attributes(self, line: _Line, op: Op) -> Any:
        fields = op.Attributes._fields
        declared = ", ".join(fields) or "none"
        values: dict[str, Any] = {}
        while line.next.kind == "word":
            field = line.take("word", "an attribute")
            if field.text not in fields or field.text in values:
                problem = "twice" if field.text in values else "here"
                raise line.error(f"attribute {field.text!r} cannot stand {problem}; {op.name} has {declared}", field)
            line.expect("=")
            values[field.text] = self.value(line)
        missing = [field for field in fields if field not in values]
        if missing:
            raise line.error(f"expected {missing[0]}=...; {op.name} has the attributes {declared}")
        return op.Attributes(**values)

    def value(self, line: _Line) -> Any:
        token = line.next
        following = line.tokens[line.position + 1].text if token.kind in ("int", "word") else ""
        if following in ("*", "[") or token.text == "-":
            return self.dimension(line)
        line.position += 1
        if token.kind == "int":
            return int(token.text)
        if token.kind == "float":
            return dtypes.float64.constant(float(token.text))
        if token.kind == "string":
            return json.loads(token.text)
        if token.kind == "object":
            return token.text[1:]
        if token.kind == "body" and token.text in self.bodies:
            return self.bodies[token.text]
        if token.kind == "word":
            return _LITERALS[token.text] if token.text in _LITERALS else find_dtype(token.text) or token.text
        if token.text == "(":
            return line.listed(lambda: self.value(line), ")")
        line.position -= 1
        raise line.error(f"{token.text} is not defined above" if token.kind == "body"
                         else f"expected a value, got {token.text!r}")

    def type(self, line: _Line) -> TensorType:
        name = line.take("word", "a dtype")
        if name.text == dtypes.void.name:
            return TensorType(dtypes.void, ())
        dtype = find_dtype(name.text)
        if dtype is None:
            raise line.error(f"expected a dtype, got {name.text!r}", name)
        line.expect("[")
        return TensorType(dtype, line.listed(lambda: self.dimension(line), "]"))

    def dimension(self, line: _Line) -> int | Dimension:
        total = self.term(line)
        while line.next.text in ("+", "-"):
            total = total + self.term(line) if line.accept("+") else total - self.term_after_minus(line)
        return total

    def term_after_minus(self, line: _Line) -> int | Dimension:
        line.expect("-")
        return self.term(line)

    def term(self, line: _Line) -> int | Dimension:
        if line.accept("-"):
            return self.term(line) * -1
        factor = 1
        if line.next.kind == "int":
            factor = int(line.take("int", "a number").text)
            if not line.accept("*"):
                return factor
        name = line.take("word", "a dimension")
        line.expect("[")
        low = int(line.take("int", "the variable's lower bound").text)
        line.expect("..")
        high = int(line.take("int", "the variable's upper bound").text)
        line.expect("]")
        try:
            return Variable(name.text, low, high) * factor
        except SymbolicError as error:
            raise line.error(str(error), name) from error


def find_dtype(name: str) -> DType | None:
    """The dtype whose name this is."""
    found = getattr(dtypes, name, None)
    return found if isinstance(found, DType) and found.name == name else None
