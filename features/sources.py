"""Where the records come from: the ``[sources.NAME]`` tables."""

import codecs
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from features.configuration import Configuration, Section, known_zone, nearest
from features.contract import CUSTOMERS, ORDERS, TABLES, Kind, Table
from features.errors import InputError

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
    """

    fixed: tuple[Name, ...] = ()


MODELS: dict[str, type[Source]] = {ORDERS.name: OrdersSource, CUSTOMERS.name: CustomersSource}


def read_sources(configuration: Configuration) -> dict[str, Source]:
    """Read every ``[sources.NAME]`` table, in the order of the contract.

    Raises
    ------
    InputError
        No orders, an unknown table or canonical column, or a wrong setting; names the nearest known.
    """
    given = configuration.tables.get("sources", {})
    for name in given:
        if name not in TABLES:
            raise InputError(
                f"{configuration.file}: there is no table [sources.{name}]; {nearest(name, TABLES)}"
            )
    if ORDERS.name not in given:
        raise InputError(
            f"{configuration.file}: [sources.orders] is missing; name the files of the order lines"
        )
    return {name: _read(configuration, table) for name, table in TABLES.items() if name in given}


def _read(configuration: Configuration, table: Table) -> Source:
    source = configuration.section(f"sources.{table.name}", MODELS.get(table.name, Source))
    for column in source.columns:
        if column not in table.columns and not table.open_ended:
            raise InputError(
                f"{configuration.file}: sources.{table.name}.columns.{column} is no column of "
                f"{table.name}; {nearest(column, table.columns)}"
            )
    return source
