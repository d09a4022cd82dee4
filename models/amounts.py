"""Amounts of a customer as text, such as ``0.08 * expected_value``: parsed and checked, as conditions are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from features.contract import Kind
from models.condition_text import parsed_number
from models.condition_values import Value


@dataclass(frozen=True)
class Amount:
    """A number that every customer has, or does not where a column of it is not known.

    Parameters
    ----------
    text
        As the user wrote it.
    value
        What was read.
    """

    text: str
    value: Value = field(repr=False)

    @classmethod
    def read(cls, text: str, *, columns: Mapping[str, Kind], where: str) -> Self:
        """Read a number, or columns and numbers joined by + - * / and ``coalesce``.

        Parameters
        ----------
        columns
            Those that it may name, with what they hold.
        where
            The key of the configuration, for errors.

        Raises
        ------
        InputError
            It is no amount, names an unknown column, or is text.
        """
        return cls(text, parsed_number(text, columns=columns, where=where))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads, each once."""
        return tuple(dict.fromkeys(self.value.columns()))

    def sql(self) -> str:
        """Write it as SQL that SQLite and DuckDB understand alike; null where a column is, or by zero."""
        return self.value.sql()
