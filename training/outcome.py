"""What came of each customer of a labelled table, as its column says."""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pandas as pd

from features.configuration import nearest
from features.contract import CUSTOMERS
from features.errors import InputError
from features.parsing import YES, identifier
from features.sources import CustomersSource

SHOWN = 3
"""Values of an outcome that a sentence names."""


@dataclass(frozen=True)
class Outcome:
    """The known outcomes.

    Attributes
    ----------
    came
        By customer_id, in its order: 1 with the positive value, 0 with any other.
    label
        The column.
    positive
        The value that is forecast.
    notes
        Sentences on rows that were left out, and on values that were put together.
    """

    came: pd.Series
    label: str
    positive: str
    notes: tuple[str, ...]

    @property
    def described(self) -> str:
        """What is forecast: the column and its value."""
        return f"{self.label} = {self.positive!r}"

    @property
    def sentence(self) -> str:
        """How many customers have the outcome."""
        came, known = int(self.came.sum()), len(self.came)
        return f"{self.described} for {came:,} of {known:,} customers ({came / known:.1%})"


def read_outcome(connection: duckdb.DuckDBPyConnection, source: CustomersSource) -> Outcome:
    """Read the outcome of every customer that has one.

    Parameters
    ----------
    connection
        With the staged ``customers``.

    Raises
    ------
    InputError
        There is no such column, no value, only one, or none that counts as positive.
    """
    label = str(source.label)
    place = f"sources.{CUSTOMERS.name}"
    columns = [row[0] for row in connection.execute(f"DESCRIBE {CUSTOMERS.name}").fetchall()]
    if label not in columns:
        raise InputError(
            f"{place} has no column {label!r} with the outcome; {nearest(label, columns)}; name it with "
            f"{place}.label"
        )
    rows = connection.execute(
        f"SELECT customer_id, {identifier(label)} AS outcome FROM {CUSTOMERS.name} "
        "QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY valid_from DESC NULLS LAST) = 1 "
        "ORDER BY customer_id"
    ).df()
    known = rows.dropna(subset="outcome")
    counts = {str(value): int(count) for value, count in known["outcome"].value_counts().items()}
    if len(counts) < 2:  # noqa: PLR2004 - both are needed
        raise InputError(f"{place}.label = {label!r}: {_one_sided(counts)}; give rows of both outcomes")
    positive = _positive(source, counts)
    came = (known["outcome"] == positive).astype(float).set_axis(known["customer_id"])
    return Outcome(came, label, positive, tuple(_notes(label, positive, counts, len(rows) - len(known))))


def _one_sided(counts: Mapping[str, int]) -> str:
    if not counts:
        return "no row has an outcome"
    ((value, count),) = counts.items()
    return f"all {count:,} known outcomes are {value!r}, so that nothing can be learnt"


def _positive(source: CustomersSource, counts: Mapping[str, int]) -> str:
    """Find the value to forecast."""
    place, given = f"sources.{CUSTOMERS.name}.label_positive", source.label_positive
    if given is not None:
        if str(given) not in counts:
            raise InputError(
                f"{place} = {given!r} is no value of {source.label!r}; {nearest(str(given), counts)}"
            )
        return str(given)
    told = [value for value in counts if value.lower() in YES]
    if len(told) != 1 or len(counts) > 2:  # noqa: PLR2004 - yes and no
        shown = ", ".join(list(counts)[: 2 * SHOWN])
        raise InputError(f"{place} is missing; name the value of {source.label!r} to forecast, of: {shown}")
    return told[0]


def _notes(label: str, positive: str, counts: Mapping[str, int], unknown: int) -> list[str]:
    notes = []
    others = [value for value in counts if value != positive]
    if len(others) > 1:
        shown = ", ".join(f"{value!r} ({counts[value]:,})" for value in others[:SHOWN])
        more = f" and {len(others) - SHOWN:,} others" if len(others) > SHOWN else ""
        notes.append(
            f"{label} has {len(counts):,} values; all but {positive!r} count as its opposite: {shown}{more}"
        )
    if unknown:
        notes.append(f"{unknown:,} customers have no {label} and are left out of the training")
    return notes
