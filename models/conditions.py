"""Conditions of customers: SQL-like text that is parsed, checked, and never executed as written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from features.contract import Kind
from models.clauses import Clause, Ranked
from models.condition_text import NOTHING, Texts, parsed
from models.condition_values import Row
from models.cuts import Cut, Cuts


@dataclass(frozen=True)
class Condition:
    """A condition, true or false of every customer.

    A comparison with a value that is not known is false, so its opposite by ``not`` is true.

    Parameters
    ----------
    text
        As the user wrote it.
    clause
        What was read.
    """

    text: str
    clause: Clause = field(repr=False)

    @classmethod
    def read(cls, text: str, *, columns: Mapping[str, Kind], where: str, texts: Texts = NOTHING) -> Self:
        """Read a condition, such as ``top(clv, 0.2) and not country in ('UK', 'FR')``.

        Parameters
        ----------
        columns
            Those that it may name, with what they hold; every kind but text and flag is a number.
        where
            The key of the configuration, for errors.
        texts
            By column all that it can be, as far as that is known.

        Raises
        ------
        InputError
            It is no condition, names an unknown column, or compares what does not compare.
        """
        return cls(text, parsed(text, columns=columns, where=where, texts=texts))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that it reads, each once."""
        values = (value for part in self.clause.parts_within() for value in part.values())
        return tuple(dict.fromkeys(name for value in values for name in value.columns()))

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """The cut points that it needs, each once."""
        return tuple(dict.fromkeys(self._cuts()))

    def _cuts(self) -> Iterator[Cut]:
        return (part.cut for part in self.clause.parts_within() if isinstance(part, Ranked))

    def sql(self, cuts: Cuts) -> str:
        """Write it as SQL that SQLite and DuckDB understand alike: true or false, never null.

        Parameters
        ----------
        cuts
            Cut points by `Cut.key`; null where nobody has a value.
        """
        return self.clause.sql(cuts)

    def holds(self, row: Row, cuts: Cuts) -> bool:
        """Tell whether it holds for one customer, as the SQL does."""
        return self.clause.holds(row, cuts)

    def eased(self, by: float) -> "Condition":
        """Return it loosened by a share, or tightened by a negative one.

        ``x >= c`` becomes ``x >= c - by * |c|`` and ``top(x, s)`` becomes ``top(x, s * (1 + by))``; under
        ``not`` the other way. Equality, lists, nulls, texts, flags and comparisons of two columns stay.
        """
        return Condition(self.text, self.clause.eased(by))
