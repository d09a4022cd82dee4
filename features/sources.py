"""Where the records come from: the ``[sources.NAME]`` tables."""

import codecs
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from features.configuration import Configuration, Section, known_zone, nearest
from features.contract import CONTRACTS, CUSTOMERS, ORDERS, TABLES, Kind, Table
from features.errors import InputError

YEAR_DAYS = 365.25
Name = Annotated[str, Field(min_length=1)]


class Source(Section):
    """One canonical table, and how its columns are found in files, a database or a query.

    Parameters
    ----------
    path
        A file or glob, relative to the configuration: ``.csv``, ``.tsv``, ``.txt`` (each also
        with ``.gz``) or ``.parquet``.
    url, table
        A database (``sqlite:///shop.db``, ``postgresql://...``) and a table or view in it.
    query
        DuckDB SQL; file names in it are relative to the configuration.
    columns
        canonical = source; canonical names that are not mapped are taken as they are.
    encoding
        Of text files; UTF-8 may begin with a byte order mark.
    time_format
        Of times given as text (strptime); ISO 8601 without it.
    time_zone
        Of times given without an offset (IANA name).
    decimal
        The decimal mark of numbers given as text.
    delimiter
        Of text files; found by itself without it.
    """

    path: Name | None = None
    url: Name | None = None
    table: Name | None = None
    query: Name | None = None
    columns: dict[str, Name] = Field(default_factory=dict)
    encoding: str = "utf-8"
    time_format: Name | None = None
    time_zone: str = "UTC"
    decimal: Literal[".", ","] = "."
    delimiter: Name | None = None

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        try:
            return codecs.lookup(name).name
        except LookupError:
            raise ValueError("is not an encoding: utf-8, gb18030 and latin-1 are some") from None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return known_zone(name)

    @model_validator(mode="after")
    def _one_origin(self) -> "Source":
        origins = [name for name in ("path", "url", "query") if getattr(self, name)]
        if len(origins) != 1:
            raise ValueError("needs exactly one of path, url (with table) and query")
        if bool(self.url) != bool(self.table):
            raise ValueError("needs url and table together")
        return self


class OrdersSource(Source):
    """Order lines, with the rules that tell them apart.

    Parameters
    ----------
    exclude
        Lines that are no purchases (postage, fees, write-offs): text column -> values, in which
        ``*`` stands for any characters. They are staged, and left out of every feature and label.
    cancellation_prefix
        What an order number begins with when it cancels the order of the same number without it.
    """

    exclude: dict[str, Annotated[list[Name], Field(min_length=1)]] = Field(default_factory=dict)
    cancellation_prefix: str = "C"

    @field_validator("exclude")
    @classmethod
    def _text_columns(cls, exclude: dict[str, list[str]]) -> dict[str, list[str]]:
        known = [name for name, kind in ORDERS.columns.items() if kind is Kind.TEXT]
        for column in exclude:
            if column not in known:
                raise ValueError(
                    f"excludes by {column!r}, which is no text column of orders: {nearest(column, known)}"
                )
        return exclude


class CustomersSource(Source):
    """Customers and their attributes.

    Parameters
    ----------
    fixed
        Attributes that never change, so that they are features though they carry no ``valid_from``.
    left_out
        Columns that are no features, such as what was known only after the outcome.
    label
        In the labelled setting the column with the known outcome; it is no feature.
    label_positive
        The value of the outcome that is forecast; every other value counts as its opposite. Yes, true or
        1 without it.
    label_means
        What that value means: the customer left, or bought.
    """

    fixed: tuple[Name, ...] = ()
    left_out: tuple[Name, ...] = ()
    label: Name | None = None
    label_positive: str | bool | int | float | None = None
    label_means: Literal["churn", "conversion"] = "churn"

    @field_validator("label_positive")
    @classmethod
    def _as_text(cls, value: str | float | None) -> str | None:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    @property
    def forced_kinds(self) -> dict[str, Kind]:
        """How columns are read, whatever they look like: an outcome as its words."""
        return {} if self.label is None else {self.label: Kind.TEXT}


class ContractsSource(Source):
    """Contract periods.

    Parameters
    ----------
    fee_per
        The time that a fee is for.
    """

    fee_per: Literal["week", "month", "quarter", "year"] = "month"

    @property
    def fee_days(self) -> float:
        """The days that a fee is for, on average."""
        return {"week": 7.0, "month": YEAR_DAYS / 12, "quarter": YEAR_DAYS / 4, "year": YEAR_DAYS}[
            self.fee_per
        ]


MODELS: dict[str, type[Source]] = {
    ORDERS.name: OrdersSource,
    CUSTOMERS.name: CustomersSource,
    CONTRACTS.name: ContractsSource,
}
NEEDED = {
    "transactional": (ORDERS.name, "the order lines"),
    "contractual": (CONTRACTS.name, "the contracts"),
    "labelled": (CUSTOMERS.name, "the customers"),
}
"""By setting the table without which there is no forecast."""


def read_sources(configuration: Configuration) -> dict[str, Source]:
    """Read every ``[sources.NAME]`` table, in the order of the contract; in the labelled setting customers.

    Raises
    ------
    InputError
        A table that the setting needs is missing, an unknown table or canonical column, or a wrong key;
        names the nearest known.
    """
    given = configuration.tables.get("sources", {})
    for name in given:
        if name not in TABLES:
            raise InputError(
                f"{configuration.file}: there is no table [sources.{name}]; {nearest(name, TABLES)}"
            )
    labelled = configuration.project.setting == "labelled"
    needed, what = NEEDED[configuration.project.setting]
    if needed not in given:
        raise InputError(f"{configuration.file}: [sources.{needed}] is missing; name the files of {what}")
    read = {name: _read(configuration, table) for name, table in TABLES.items() if name in given}
    return {needed: _labelled(configuration, read[needed])} if labelled else read


def _labelled(configuration: Configuration, source: Source) -> Source:
    """Check that the customers have an outcome that can be one."""
    assert isinstance(source, CustomersSource)  # noqa: S101 - by MODELS
    place = f"{configuration.file}: sources.{CUSTOMERS.name}.label"
    if source.label is None:
        raise InputError(f"{place} is missing; name the column that holds the known outcome")
    if source.label in CUSTOMERS.columns:
        raise InputError(f"{place} = {source.label!r} is no outcome; name the column that holds it")
    return source


def _read(configuration: Configuration, table: Table) -> Source:
    source = configuration.section(f"sources.{table.name}", MODELS.get(table.name, Source))
    for column in source.columns:
        if column not in table.columns and not table.open_ended:
            raise InputError(
                f"{configuration.file}: sources.{table.name}.columns.{column} is no column of "
                f"{table.name}; {nearest(column, table.columns)}"
            )
    return source
