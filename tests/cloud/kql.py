"""As much of Kusto's query language as our queries use, so that they can be run over recorded events.

A query that needs more fails to parse, rather than to be misread. Null is None: it equals nothing and aggregates skip it.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Row = Mapping[str, Any]
Expression = Callable[[Row], Any]
Aggregate = Callable[[Sequence[Row]], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*")|(?P<span>\d+[dhms]\b)|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)"""
    r"""|(?P<sign>==|!=|>=|<=|[-+*/()<>=,.]))"""
)
_SPANS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
_COMPARE = {"==": operator.eq, "!=": operator.ne, ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_CALCULATE = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": lambda left, right: left / right if right else None}


def run(query: str, tables: Mapping[str, Sequence[Row]], now: datetime) -> list[dict[str, Any]]:
    """The rows that a query gives. Raises ValueError for what is not understood, KeyError for a column that is not there."""
    lines = [line for line in query.splitlines() if not line.lstrip().startswith("//")]
    table, *operators = [part.strip() for part in re.split(r"\n\s*\|", "\n".join(lines).strip())]
    rows = [dict(row) for row in tables[table]]
    for part in operators:
        word, _, rest = part.partition(" ")
        rows = _OPERATORS[word](rows, rest, now)
    return rows


# --- operators -------------------------------------------------------------------------------------------------------


def _where(rows: list[dict[str, Any]], text: str, now: datetime) -> list[dict[str, Any]]:
    condition = _Parser(text, now).whole()
    return [row for row in rows if condition(row) is True]


def _extend(rows: list[dict[str, Any]], text: str, now: datetime) -> list[dict[str, Any]]:
    for name, expression in _Parser(text, now).columns():
        rows = [{**row, name: expression(row)} for row in rows]
    return rows


def _project(rows: list[dict[str, Any]], text: str, now: datetime) -> list[dict[str, Any]]:
    columns = _Parser(text, now).columns()
    return [{name: expression(row) for name, expression in columns} for row in rows]


def _summarize(rows: list[dict[str, Any]], text: str, now: datetime) -> list[dict[str, Any]]:
    parser = _Parser(text, now)
    aggregates = parser.aggregates()
    keys = parser.columns() if parser.take("by") else []
    parser.end()
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {} if keys else {(): []}
    for row in rows:
        groups.setdefault(tuple(expression(row) for _, expression in keys), []).append(row)
    found = []
    for values, members in groups.items():
        named = {name: value for (name, _), value in zip(keys, values, strict=True)}
        for name, aggregate in aggregates:
            result = aggregate(members)
            named.update(result if isinstance(result, _Columns) else {name: result})
        found.append(named)
    return found


def _order(rows: list[dict[str, Any]], text: str, now: datetime) -> list[dict[str, Any]]:
    match = re.fullmatch(r"by (.+?) (asc|desc)", text.strip())
    if match is None:
        raise ValueError(text)
    expression = _Parser(match[1], now).whole()
    return sorted(rows, key=lambda row: (expression(row) is not None, expression(row)), reverse=match[2] == "desc")


def _top(rows: list[dict[str, Any]], text: str, now: datetime) -> list[dict[str, Any]]:
    count, _, order = text.partition(" ")
    return _order(rows, order, now)[: int(count)]


_OPERATORS = {"where": _where, "extend": _extend, "project": _project, "summarize": _summarize, "order": _order, "top": _top}


_MISSING = object()


# --- expressions -----------------------------------------------------------------------------------------------------


class _Columns(dict[str, Any]):
    """What arg_max gives: several columns."""


class _Parser:
    def __init__(self, text: str, now: datetime) -> None:
        self.tokens: list[tuple[str, str]] = []
        position = 0
        text = text.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ValueError(f"not understood: {text[position : position + 30]}")
            self.tokens.append((str(match.lastgroup), str(match[str(match.lastgroup)])))
            position = match.end()
        self.now = now

    def whole(self) -> Expression:
        found = self.expression()
        self.end()
        return found

    def end(self) -> None:
        if self.tokens:
            raise ValueError(f"not understood: {self.tokens}")

    def take(self, wanted: str) -> bool:
        if self.tokens and self.tokens[0][1] == wanted:
            self.tokens.pop(0)
            return True
        return False

    def need(self, wanted: str) -> None:
        if not self.take(wanted):
            raise ValueError(f"{wanted} is missing before {self.tokens}")

    def columns(self) -> list[tuple[str, Expression]]:
        """`name = expression` or a column's name, with commas between them."""
        found = []
        while True:
            name = self.tokens[0][1]
            if len(self.tokens) > 1 and self.tokens[1][1] == "=":
                del self.tokens[:2]
                found.append((name, self.expression()))
            else:
                found.append((name, self.expression()))
            if not self.take(","):
                return found

    def aggregates(self) -> list[tuple[str, Aggregate]]:
        found = []
        while True:
            name = ""
            if len(self.tokens) > 1 and self.tokens[1][1] == "=":
                name = self.tokens[0][1]
                del self.tokens[:2]
            function = self.tokens.pop(0)[1]
            self.need("(")
            aggregate = _aggregate(function, self.arguments())
            if self.take("/"):
                aggregate = _divided(aggregate, float(self.tokens.pop(0)[1]))
            found.append((name or function, aggregate))
            if not self.take(","):
                return found

    def arguments(self) -> list[tuple[str, Expression]]:
        """Up to the closing bracket; each with its first word, which arg_max needs."""
        found: list[tuple[str, Expression]] = []
        while not self.take(")"):
            found.append((self.tokens[0][1], self.expression()))
            self.take(",")
        return found

    def expression(self) -> Expression:
        left = self.conjunction()
        while self.take("or"):
            left = _either(left, self.conjunction())
        return left

    def conjunction(self) -> Expression:
        left = self.comparison()
        while self.take("and"):
            left = _both(left, self.comparison())
        return left

    def comparison(self) -> Expression:
        left = self.sum()
        if self.tokens and self.tokens[0][1] in _COMPARE:
            return _calculated(_COMPARE[self.tokens.pop(0)[1]], left, self.sum())
        if self.take("startswith"):
            return _calculated(lambda text, start: text.lower().startswith(start.lower()), left, self.sum())
        if self.take("in"):
            self.need("(")
            among = [expression for _, expression in self.arguments()]
            return lambda row: left(row) in [one(row) for one in among]
        return left

    def sum(self) -> Expression:
        left = self.product()
        while self.tokens and self.tokens[0][1] in "+-":
            left = _calculated(_CALCULATE[self.tokens.pop(0)[1]], left, self.product())
        return left

    def product(self) -> Expression:
        left = self.atom()
        while self.tokens and self.tokens[0][1] in "*/":
            left = _calculated(_CALCULATE[self.tokens.pop(0)[1]], left, self.atom())
        return left

    def atom(self) -> Expression:
        kind, text = self.tokens.pop(0)
        match kind:
            case "text":
                return lambda _: text[1:-1]
            case "number":
                return lambda _: float(text) if "." in text else int(text)
            case "span":
                return lambda _: int(text[:-1]) * _SPANS[text[-1]]
            case "name" if self.take("("):
                return self.call(text)
            case "name":
                return self.path(text)
        if text == "(":
            inside = self.expression()
            self.need(")")
            return inside
        raise ValueError(f"not understood: {text}")

    def path(self, name: str) -> Expression:
        """A column, or a field of a dynamic one."""
        fields = []
        while self.take("."):
            fields.append(self.tokens.pop(0)[1])

        def value(row: Row) -> Any:
            found: Any = {"true": True, "false": False}.get(name, row.get(name, _MISSING))
            if found is _MISSING:
                raise KeyError(name)
            for field in fields:
                found = found[field]
            return found

        return value

    def call(self, name: str) -> Expression:
        arguments = [expression for _, expression in self.arguments()]
        if name == "ago":
            return lambda row: self.now - arguments[0](row)
        function = _FUNCTIONS[name]
        return lambda row: function(*(one(row) for one in arguments))


def _both(left: Expression, right: Expression) -> Expression:
    return lambda row: left(row) is True and right(row) is True


def _either(left: Expression, right: Expression) -> Expression:
    return lambda row: left(row) is True or right(row) is True


def _calculated(calculate: Callable[[Any, Any], Any], left: Expression, right: Expression) -> Expression:
    def value(row: Row) -> Any:
        values = left(row), right(row)
        return None if None in values else calculate(*values)

    return value


def _bin(value: Any, size: Any) -> Any:
    if isinstance(value, datetime):
        return datetime.fromtimestamp(value.timestamp() // size.total_seconds() * size.total_seconds(), UTC)
    return math.floor(value / size) * size


def _converted(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "parse_json": json.loads,
    "substring": lambda text, start: text[start:],
    "tostring": lambda value: "" if value is None else str(value),
    "tolong": _converted(int),
    "todouble": _converted(float),
    "tobool": _converted(bool),
    "isnotempty": lambda value: value not in (None, ""),
    "isempty": lambda value: value in (None, ""),
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "round": lambda value, digits=0: None if value is None else round(value, digits),
    "bin": _bin,
    "iff": lambda condition, yes, no: yes if condition is True else no,
}


def _divided(aggregate: Aggregate, by: float) -> Aggregate:
    def value(rows: Sequence[Row]) -> Any:
        found = aggregate(rows)
        return None if found is None else found / by

    return value


def _aggregate(function: str, arguments: list[tuple[str, Expression]]) -> Aggregate:
    if function == "count":
        return len
    if function == "arg_max":
        (name, greatest), *kept = arguments

        def arg_max(rows: Sequence[Row]) -> _Columns:
            row = max(rows, key=greatest)
            return _Columns({name: greatest(row), **{column: expression(row) for column, expression in kept}})

        return arg_max
    _, expression = arguments[0]
    if function == "countif":
        return lambda rows: sum(expression(row) is True for row in rows)
    reduce: Callable[[list[Any]], Any] = {
        "sum": lambda values: sum(values) if values else None,
        "max": lambda values: max(values, default=None),
        "min": lambda values: min(values, default=None),
        "avg": lambda values: sum(values) / len(values) if values else None,
        "dcount": lambda values: len(set(values)),
    }[function]
    return lambda rows: reduce([value for row in rows if (value := expression(row)) is not None])
