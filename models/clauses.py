"""The parts of a condition: what they ask, as SQL and of one row, eased, and what decides them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NamedTuple, Self

from features.contract import Kind
from models.condition_values import Column, Constant, Formula, Plain, Row, Value, literal
from models.cuts import BOTTOM, Cut, Cuts

COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    ">=": ge,
    "<": lt,
    "<=": le,
    ">": gt,
    "=": eq,
    "<>": ne,
}
OPPOSITE = {">=": "<", "<": ">=", "<=": ">", ">": "<=", "=": "<>", "<>": "="}
LOOSENED = {">=": -1.0, ">": -1.0, "<=": 1.0, "<": 1.0}
"""In which direction a bound moves to let more in."""


class Demand(NamedTuple):
    """What a clause demands of a customer.

    Attributes
    ----------
    value
        Of what.
    bound
        An operator of `OPPOSITE`, ``in``, ``not in``, ``known`` or ``unknown``.
    point
        The number or text, or the list of them; null for the last two.
    """

    value: Value
    bound: str
    point: Plain | list[Plain] | None


class Clause(ABC):
    """A part of a condition: true or false of every customer, never null."""

    @abstractmethod
    def sql(self, cuts: Cuts) -> str:
        """Write it as SQL, portable, with the cut points put in."""

    @abstractmethod
    def holds(self, row: Row, cuts: Cuts) -> bool:
        """Tell whether it holds for a customer."""

    def eased(self, by: float) -> "Clause":  # noqa: ARG002 - most have nothing to ease
        """Return it loosened by a share, or tightened by a negative one."""
        return self

    def parts_within(self) -> Iterator["Clause"]:
        """Return the clauses that hold no others, in order."""
        yield self

    def deciding(self, row: Row, cuts: Cuts, *, wanted: bool = True) -> Iterator[tuple["Clause", bool]]:
        """Return the innermost clauses that make it hold, or fail, for a customer.

        Each comes with whether it is wanted to hold; `wanted` is that of the whole.
        """
        del row, cuts
        yield self, wanted

    def values(self) -> tuple[Value, ...]:
        """Return what it looks at."""
        return ()

    def demand(self, cuts: Cuts, *, wanted: bool) -> Demand | None:  # noqa: ARG002 - most demand something
        """Return what it asks of a customer, or what its opposite asks; null when that is nothing."""
        return None


@dataclass(frozen=True)
class Fixed(Clause):
    """``true`` or ``false``."""

    is_true: bool

    def sql(self, cuts: Cuts) -> str:  # noqa: ARG002
        """Write the one word."""
        return "true" if self.is_true else "false"

    def holds(self, row: Row, cuts: Cuts) -> bool:  # noqa: ARG002
        """Return it."""
        return self.is_true


@dataclass(frozen=True)
class Comparison(Clause):
    """Two values compared; false where one is null. A constant stands on the right."""

    left: Value
    operator: str
    right: Value

    def sql(self, cuts: Cuts) -> str:  # noqa: ARG002
        """Write the comparison."""
        return f"coalesce({self.left.sql()} {self.operator} {self.right.sql()}, false)"

    def holds(self, row: Row, cuts: Cuts) -> bool:  # noqa: ARG002
        """Compare the values of a customer."""
        return compared(self.left.of(row), self.operator, self.right.of(row))

    def eased(self, by: float) -> Clause:
        """Move the bound by a share of itself; a flag, or a comparison of two columns, has none."""
        is_flag = isinstance(self.left, Column) and self.left.kind is Kind.FLAG
        constant = self.right.value if isinstance(self.right, Constant) else None
        if is_flag or not isinstance(constant, float) or self.operator not in LOOSENED:
            return self
        moved = constant + LOOSENED[self.operator] * by * abs(constant)
        return Comparison(self.left, self.operator, Constant(moved))

    def values(self) -> tuple[Value, ...]:
        """Return both sides."""
        return self.left, self.right

    def demand(self, cuts: Cuts, *, wanted: bool) -> Demand | None:  # noqa: ARG002
        """Return the bound, where it is a constant; of two columns what their difference must be."""
        operator = self.operator if wanted else OPPOSITE[self.operator]
        if isinstance(self.right, Constant):
            return Demand(self.left, operator, self.right.value)
        if self.left.is_text:
            return None
        return Demand(Formula("-", (self.left, self.right)), operator, 0.0)


@dataclass(frozen=True)
class Among(Clause):
    """A value is one of several constants; false where it is null."""

    value: Value
    options: tuple[Plain, ...]

    def sql(self, cuts: Cuts) -> str:  # noqa: ARG002
        """Write the list."""
        return f"coalesce({self.value.sql()} IN ({', '.join(map(literal, self.options))}), false)"

    def holds(self, row: Row, cuts: Cuts) -> bool:  # noqa: ARG002
        """Look a customer's value up."""
        return self.value.of(row) in self.options

    def values(self) -> tuple[Value, ...]:
        """Return the value."""
        return (self.value,)

    def demand(self, cuts: Cuts, *, wanted: bool) -> Demand:  # noqa: ARG002
        """Return the list."""
        return Demand(self.value, "in" if wanted else "not in", list(self.options))


@dataclass(frozen=True)
class Missing(Clause):
    """A value is null."""

    value: Value

    def sql(self, cuts: Cuts) -> str:  # noqa: ARG002
        """Write the question."""
        return f"({self.value.sql()} IS NULL)"

    def holds(self, row: Row, cuts: Cuts) -> bool:  # noqa: ARG002
        """Look at a customer's value."""
        return self.value.of(row) is None

    def values(self) -> tuple[Value, ...]:
        """Return the value."""
        return (self.value,)

    def demand(self, cuts: Cuts, *, wanted: bool) -> Demand:  # noqa: ARG002
        """Return whether the value must be known."""
        return Demand(self.value, "unknown" if wanted else "known", None)


@dataclass(frozen=True)
class Ranked(Clause):
    """A value is among the highest or the lowest; false where it is null, or nobody has one."""

    value: Column
    cut: Cut

    @property
    def _operator(self) -> str:
        return "<=" if self.cut.function == BOTTOM else ">="

    def _compared(self, cuts: Cuts) -> Clause:
        point = cuts[self.cut.key]
        if point is None:
            return Fixed(is_true=False)
        return Comparison(self.value, self._operator, Constant(float(point)))

    def sql(self, cuts: Cuts) -> str:
        """Write the comparison with the cut point."""
        return self._compared(cuts).sql(cuts)

    def holds(self, row: Row, cuts: Cuts) -> bool:
        """Compare a customer's value with the cut point."""
        return compared(self.value.of(row), self._operator, cuts[self.cut.key])

    def eased(self, by: float) -> Clause:
        """Take in a larger share."""
        return Ranked(self.value, self.cut.eased(by))

    def values(self) -> tuple[Value, ...]:
        """Return the value."""
        return (self.value,)

    def demand(self, cuts: Cuts, *, wanted: bool) -> Demand | None:
        """Return the cut point."""
        return self._compared(cuts).demand(cuts, wanted=wanted)


@dataclass(frozen=True)
class Negated(Clause):
    """Another clause does not hold."""

    part: Clause

    def sql(self, cuts: Cuts) -> str:
        """Write NOT."""
        return f"(NOT {self.part.sql(cuts)})"

    def holds(self, row: Row, cuts: Cuts) -> bool:
        """Return the opposite."""
        return not self.part.holds(row, cuts)

    def eased(self, by: float) -> Clause:
        """Tighten what must not hold."""
        return Negated(self.part.eased(-by))

    def parts_within(self) -> Iterator[Clause]:
        """Return those of the part."""
        return self.part.parts_within()

    def deciding(self, row: Row, cuts: Cuts, *, wanted: bool = True) -> Iterator[tuple[Clause, bool]]:
        """Return those of the part, wanted the other way."""
        return self.part.deciding(row, cuts, wanted=not wanted)


@dataclass(frozen=True)
class Joined(Clause):
    """All of several clauses hold, or any of them."""

    parts: tuple[Clause, ...]
    is_all: bool

    def sql(self, cuts: Cuts) -> str:
        """Join them by AND or OR."""
        word = " AND " if self.is_all else " OR "
        return f"({word.join(part.sql(cuts) for part in self.parts)})"

    def holds(self, row: Row, cuts: Cuts) -> bool:
        """Ask each until it is decided."""
        return (all if self.is_all else any)(part.holds(row, cuts) for part in self.parts)

    def eased(self, by: float) -> Self:
        """Ease each."""
        return type(self)(tuple(part.eased(by) for part in self.parts), self.is_all)

    def parts_within(self) -> Iterator[Clause]:
        """Return those of each."""
        return (inner for part in self.parts for inner in part.parts_within())

    def deciding(self, row: Row, cuts: Cuts, *, wanted: bool = True) -> Iterator[tuple[Clause, bool]]:
        """Return those of the parts that are as the whole is."""
        whole = self.holds(row, cuts)
        for part in self.parts:
            if part.holds(row, cuts) == whole:
                yield from part.deciding(row, cuts, wanted=wanted)


def compared(left: Plain | None, operator: str, right: Plain | None) -> bool:
    """Compare two values; false where one is null."""
    return left is not None and right is not None and bool(COMPARED[operator](left, right))
