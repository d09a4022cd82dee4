"""Conditions and amounts as text: of SQL's grammar a short list of parts is taken, all else refused."""

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, TypeVar

import sqlglot
from sqlglot import TokenType, exp

from features.configuration import nearest
from features.contract import Kind
from features.errors import InputError
from models.clauses import Among, Clause, Comparison, Fixed, Joined, Missing, Negated, Ranked
from models.condition_values import Column, Constant, Formula, Plain, Value, combined, literal
from models.cuts import FUNCTIONS, Cut
from models.grammar import AMOUNT, ARITHMETIC, CONDITION, MIRRORED, OPERATORS, PARTS, Grammar

Read = TypeVar("Read")
Texts = Mapping[str, tuple[str, ...]]
NOTHING: Texts = MappingProxyType({})
LONGEST, SHORT = 4_000, 80


def parsed(text: str, *, columns: Mapping[str, Kind], where: str, texts: Texts = NOTHING) -> Clause:
    """Parse a condition; the one place where a user's text is read, and none of it reaches an engine.

    Parameters
    ----------
    columns
        Those that it may name, with what they hold.
    where
        The key of the configuration, for errors.
    texts
        By column all that it can be, as far as that is known.

    Raises
    ------
    InputError
        It is no condition, names an unknown column, or compares what does not compare.
    """
    reading = _Reading(CONDITION, where, columns, texts)
    return reading.whole(text, reading.clause)


def parsed_number(text: str, *, columns: Mapping[str, Kind], where: str) -> Value:
    """Parse arithmetic that gives a number, as `parsed` does a condition.

    Raises
    ------
    InputError
        It is no arithmetic, names an unknown column, or gives a text.
    """
    reading = _Reading(AMOUNT, where, columns, NOTHING)
    return reading.whole(text, reading.number)


class _Reading:
    """One text being read."""

    def __init__(self, grammar: Grammar, where: str, columns: Mapping[str, Kind], texts: Texts) -> None:
        self._grammar = grammar
        self._place = where
        self._columns = columns
        self._texts = texts

    def whole(self, text: str, read: Callable[[exp.Expr], Read]) -> Read:
        """Read all of a text."""
        name, longest = self._grammar.name, f"at most {LONGEST:,}"
        if len(text) > LONGEST:
            raise InputError(f"{self._place} has {len(text):,} characters, and {name} {longest}")
        self._place = f"{self._place} = {shortened(text)!r}"
        try:
            tokens = sqlglot.tokenize(text, dialect="duckdb")
            if any(token.comments or token.token_type is TokenType.SEMICOLON for token in tokens):
                raise self._wrong(f"neither comments nor ';' can stand in {name}; leave them out")
            return read(sqlglot.parse_one(text, into=exp.Condition, dialect="duckdb"))
        except sqlglot.errors.SqlglotError:
            raise InputError(f"{self._place} is not {name}; {self._grammar.rule}") from None
        except RecursionError:
            raise self._wrong("too many brackets within brackets; write it flatter") from None

    def clause(self, node: exp.Expr) -> Clause:
        """Read what is true or false."""
        self._check(node)
        if read := self.CLAUSES.get(type(node)):
            return read(self, node)
        value = self.value(node)
        if isinstance(value, Column) and value.kind is Kind.FLAG:
            return Comparison(value, "<>", Constant(0.0))
        raise self._wrong(
            f"{_written(node)} is no truth; compare it with something, as in {_compared(value)}"
        )

    def value(self, node: exp.Expr) -> Value:
        """Read a number or a text."""
        self._check(node)
        if read := self.VALUES.get(type(node)):
            return read(self, node)
        self._check_function(node)
        if type(node) in self.CLAUSES:
            raise self._wrong(f"{_written(node)} is a truth, not a value; join truths by and, or, not")
        raise self._misplaced(node)

    def number(self, node: exp.Expr) -> Value:
        """Read a number."""
        value = self.value(node)
        if value.is_text:
            raise self._wrong(f"{value.text} is text, and an amount is a number")
        return value

    def _wrong(self, reason: str) -> InputError:
        return InputError(f"{self._place}: {reason}")

    def _misplaced(self, node: exp.Expr) -> InputError:
        grammar = self._grammar
        return self._wrong(f"{_written(node)} cannot stand in {grammar.name}; {grammar.rule}")

    def _check(self, node: exp.Expr) -> None:
        """Refuse every argument that is not looked at."""
        given = {name for name, part in node.args.items() if part not in (None, False, [])}
        if given - PARTS:
            raise self._misplaced(node)

    def _check_function(self, node: exp.Expr) -> None:
        if isinstance(node, exp.Anonymous) and node.name.lower() not in FUNCTIONS:
            near = nearest(node.name, (*FUNCTIONS, "coalesce"))
            raise self._wrong(f"there is no function {node.name!r}; {near}")

    def _joined(self, node: exp.Expr) -> Clause:
        parts = tuple(self.clause(part) for part in node.flatten(unnest=False))
        return Joined(parts, is_all=isinstance(node, exp.And))

    def _missing(self, node: exp.Expr) -> Clause:
        if not isinstance(node.expression, exp.Null):
            raise self._wrong("after is stands null or not null; compare with true and false by =")
        return Missing(self._with_column(self.value(node.this)))

    def _among(self, node: exp.Expr) -> Clause:
        value = self._with_column(self.value(node.this))
        options = tuple(self._option(value, self.value(each)) for each in node.expressions)
        if not options:
            raise self._wrong("in () is an empty list; name values")
        return Among(value, options)

    def _option(self, value: Value, option: Value) -> Plain:
        if not isinstance(option, Constant):
            raise self._wrong(f"a list holds numbers or texts, and {option.text} is neither")
        if option.is_text != value.is_text:
            text, number = (value, option) if value.is_text else (option, value)
            raise self._wrong(f"the text {text.text} cannot be compared with the number {number.text}")
        return self._possible(value, option).value

    def _between(self, node: exp.Expr) -> Clause:
        value, low, high = (self.value(node.args[part]) for part in ("this", "low", "high"))
        bounds = (self._compared(value, ">=", low), self._compared(value, "<=", high))
        return Joined(bounds, is_all=True)

    def _ranked(self, node: exp.Expr) -> Clause:
        self._check_function(node)
        function, given = node.name.lower(), [self.value(part) for part in node.expressions]
        match given:
            case [Column() as column, Constant(value=float(share))]:
                if column.kind in {Kind.TEXT, Kind.FLAG}:
                    raise self._wrong(f"{function}() ranks numbers, and {column.text} is a {column.kind}")
                if not 0 < share < 1:
                    raise self._wrong(
                        f"the share {share:g} of {function}() is not between 0 and 1, as 0.2 is"
                    )
                return Ranked(column, Cut(function, column.name, float(f"{share:.12g}")))
        raise self._wrong(f"{function}() takes a column and a share, as in {function}(clv, 0.2)")

    def _comparison(self, node: exp.Expr) -> Clause:
        left, right = node.this.unnest(), node.expression.unnest()
        return self._compared(self._side(left, right), OPERATORS[type(node)], self._side(right, left))

    def _side(self, node: exp.Expr, other: exp.Expr) -> Value:
        """Read a side of a comparison: ``true`` and ``false`` compare with a flag."""
        if not isinstance(node, exp.Boolean):
            return self.value(node)
        flag = self.value(other)
        if not isinstance(flag, Column) or flag.kind is not Kind.FLAG:
            raise self._wrong(f"{_written(node)} compares with a flag, and {flag.text} is none")
        return Constant(float(node.this))

    def _compared(self, left: Value, operator: str, right: Value) -> Clause:
        if left.is_text != right.is_text:
            text, number = (left, right) if left.is_text else (right, left)
            raise self._wrong(f"the text {text.text} cannot be compared with the number {number.text}")
        if left.is_text and operator not in {"=", "<>"}:
            raise self._wrong(f"texts such as {left.text} are compared by =, <> and in; they have no order")
        if isinstance(left, Constant):
            left, operator, right = right, MIRRORED[operator], left
        if isinstance(right, Constant):
            self._possible(left, right)
        return Comparison(self._with_column(left), operator, right)

    def _possible(self, value: Value, constant: Constant) -> Constant:
        texts = value.texts if isinstance(value, Column) else ()
        if texts and constant.value not in texts:
            near = nearest(str(constant.value), texts)
            raise self._wrong(f"{value.text} is never {constant.text}; {near}")
        return constant

    def _with_column(self, value: Value) -> Value:
        if not value.columns():
            raise self._wrong(f"{value.text} is the same for every customer; name a column")
        return value

    def _literal(self, node: exp.Expr) -> Value:
        if not node.is_string:
            is_number = re.fullmatch(r"(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", node.this, re.IGNORECASE)
            return self._number(float(node.this) if is_number else None)
        if not node.this.isprintable():
            raise self._wrong(f"the text {node.this!r} holds characters that cannot be printed")
        return Constant(node.this)

    def _number(self, number: float | None) -> Constant:
        if number is None or not math.isfinite(number):
            raise self._wrong("a number in it is none: it is cut off, too large, or divided by zero")
        return Constant(number)

    def _column(self, node: exp.Expr) -> Column:
        self._check(node.this)
        kind = self._columns.get(node.name)
        if kind is None:
            raise self._wrong(f"there is no column {node.name!r}; {nearest(node.name, self._columns)}")
        return Column(node.name, kind, self._texts.get(node.name, ()))

    def _negative(self, node: exp.Expr) -> Value:
        return self._formula("-", Constant(0.0), self.value(node.this))

    def _calculated(self, node: exp.Expr) -> Value:
        return self._formula(ARITHMETIC[type(node)], self.value(node.this), self.value(node.expression))

    def _formula(self, operator: str, left: Value, right: Value) -> Value:
        for part in (left, right):
            if part.is_text:
                raise self._wrong(f"{part.text} is text, and {operator} calculates with numbers")
        if isinstance(left, Constant) and isinstance(right, Constant):
            return self._number(combined(operator, left.value, right.value))
        if operator == "/" and right == Constant(0.0):
            raise self._wrong(f"{left.text} is divided by zero, which is never known")
        return Formula(operator, (left, right))

    def _first_known(self, node: exp.Expr) -> Value:
        parts = tuple(self.value(part) for part in (node.this, *node.expressions))
        if len({part.is_text for part in parts}) > 1:
            raise self._wrong("coalesce takes numbers or texts, not both")
        return parts[0] if len(parts) == 1 else Formula("coalesce", parts)

    def _null(self, node: exp.Expr) -> Value:
        raise self._wrong(f"nothing compares with {_written(node)}; write 'is null' or 'is not null'")

    CLAUSES: ClassVar[dict[type[exp.Expr], Callable[["_Reading", exp.Expr], Clause]]] = {
        exp.Paren: lambda reading, node: reading.clause(node.this),
        exp.And: _joined,
        exp.Or: _joined,
        exp.Not: lambda reading, node: Negated(reading.clause(node.this)),
        exp.Boolean: lambda _, node: Fixed(bool(node.this)),
        exp.Is: _missing,
        exp.In: _among,
        exp.Between: _between,
        exp.Anonymous: _ranked,
    } | dict.fromkeys(OPERATORS, _comparison)
    """All that may stand where something is true or false."""

    VALUES: ClassVar[dict[type[exp.Expr], Callable[["_Reading", exp.Expr], Value]]] = {
        exp.Paren: lambda reading, node: reading.value(node.this),
        exp.Literal: _literal,
        exp.Null: _null,
        exp.Column: _column,
        exp.Neg: _negative,
        exp.Coalesce: _first_known,
    } | dict.fromkeys(ARITHMETIC, _calculated)
    """All that may stand where a number or a text does."""


def _compared(value: Value) -> str:
    """Give an example of how a value becomes a truth."""
    if not isinstance(value, Column):
        return "clv > 100"
    return f"{value.text} = {literal(next(iter(value.texts), 'text')) if value.is_text else 1}"


def _written(node: exp.Expr) -> str:
    """Repeat a part of the text, shortened."""
    return repr(shortened(node.sql(dialect="duckdb", comments=False)))


def shortened(text: str) -> str:
    """Cut a long text for an error."""
    return text if len(text) <= SHORT else f"{text[: SHORT - 3]}..."
