"""What conditions compare: columns, constants and formulas of them, as SQL text and as values of one row."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from features import parsing
from features.contract import Kind

Row = Mapping[str, Any]
"""A customer's values by column; what is not known is None, NaN or absent."""
Plain = float | str


def literal(value: Plain) -> str:
    """Write a constant: text in quotes, a number so that every engine reads a double."""
    if isinstance(value, str):
        return parsing.literal(value)
    written = repr(value)
    return written if "e" in written else f"{written}e0"


@dataclass(frozen=True)
class Column:
    """A column of the subjects.

    Parameters
    ----------
    name
        Of the column.
    kind
        ``text``, ``flag``, or a number.
    texts
        All that a text can be; empty where that is not known.
    """

    name: str
    kind: Kind
    texts: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether it holds text rather than numbers."""
        return self.kind is Kind.TEXT

    @property
    def text(self) -> str:
        """Its name as a condition writes it."""
        return self.name if re.fullmatch(r"[^\W\d]\w*", self.name) else parsing.identifier(self.name)

    def sql(self) -> str:
        """Write it as SQL."""
        return parsing.identifier(self.name)

    def of(self, row: Row) -> Plain | None:
        """Return its value in a row."""
        value = row.get(self.name)
        if value is None or value != value:  # noqa: PLR0124 - NaN
            return None
        return str(value) if self.is_text else float(value)

    def columns(self) -> tuple[str, ...]:
        """Return the columns that it reads."""
        return (self.name,)


@dataclass(frozen=True)
class Constant:
    """A number or a text."""

    value: Plain

    @property
    def is_text(self) -> bool:
        """Whether it is a text."""
        return isinstance(self.value, str)

    @property
    def text(self) -> str:
        """The constant as a condition writes it."""
        return literal(self.value) if isinstance(self.value, str) else f"{self.value:.15g}"

    def sql(self) -> str:
        """Write it as SQL."""
        return literal(self.value)

    def of(self, row: Row) -> Plain | None:  # noqa: ARG002 - the same for every row
        """Return the constant."""
        return self.value

    def columns(self) -> tuple[str, ...]:
        """Return nothing: a constant reads no column."""
        return ()


@dataclass(frozen=True)
class Formula:
    """Two numbers combined by + - * / (a quotient by zero is null), or the first known of several values.

    Parameters
    ----------
    operator
        One of those, or ``coalesce``.
    parts
        Two, or any number for ``coalesce``; all text or all numbers.
    """

    operator: str
    parts: tuple["Value", ...]

    @property
    def is_text(self) -> bool:
        """Whether it is a text."""
        return self.parts[0].is_text

    @property
    def text(self) -> str:
        """The formula as a condition writes it."""
        inner = [part.text for part in self.parts]
        if self.operator == "coalesce":
            return f"coalesce({', '.join(inner)})"
        first, second = (
            f"({text})" if isinstance(part, Formula) and part.operator != "coalesce" else text
            for part, text in zip(self.parts, inner, strict=True)
        )
        return f"{first} {self.operator} {second}"

    def sql(self) -> str:
        """Write it as SQL; a division of whole numbers is one of doubles."""
        inner = [part.sql() for part in self.parts]
        if self.operator == "coalesce":
            return f"coalesce({', '.join(inner)})"
        if self.operator == "/":
            return f"(1e0 * {inner[0]} / nullif({inner[1]}, 0e0))"
        return f"({inner[0]} {self.operator} {inner[1]})"

    def of(self, row: Row) -> Plain | None:
        """Return its value in a row; null where a part is null, but for ``coalesce``."""
        values = [part.of(row) for part in self.parts]
        if self.operator == "coalesce":
            return next((value for value in values if value is not None), None)
        return combined(self.operator, *values)

    def columns(self) -> tuple[str, ...]:
        """Return the columns that it reads."""
        return tuple(name for part in self.parts for name in part.columns())


Value = Column | Constant | Formula


def combined(operator: str, first: Plain | None, second: Plain | None) -> float | None:
    """Calculate with two numbers; null where one is null, or for a quotient by zero."""
    if not isinstance(first, float) or not isinstance(second, float):
        return None
    match operator:
        case "+":
            return first + second
        case "-":
            return first - second
        case "*":
            return first * second
    return first / second if second else None
