"""Features that a user wrote: aggregates over a customer's known order lines or orders, for every engine."""

import inspect
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn, Self

import duckdb
import ibis
import ibis.expr.types as ir
import sqlglot
from ibis.common.exceptions import IbisError
from sqlglot import exp

from features.configuration import nearest
from features.days import SUBJECT
from features.errors import InputError
from features.own_tables import TABLES

ENGINES = ("duckdb", "sqlite", "databricks")
RESERVED = ("customer_id", "as_of")
NUMBERS = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DOUBLE|FLOAT|BOOLEAN|DECIMAL.*)")
REMEDY = "sums, counts, means, minima and maxima with conditions run everywhere"

FINITE = (
    "SELECT subject, CASE WHEN value - value = 0 THEN value END AS value FROM "
    "(SELECT subject, CAST(value AS DOUBLE) AS value FROM ({}) AS told) AS number"
)

Function = Callable[[Any], Any]
"""From the Ibis table that its parameter names, ``days`` or ``lines``, to an aggregate."""


@dataclass(frozen=True)
class OwnFeature:
    """A feature that a user wrote, as text: no code is needed to use it.

    Parameters
    ----------
    name
        Of the column.
    texts
        By engine a query over ``days`` or ``lines`` with one row per subject: ``subject``, ``value``.
    """

    name: str
    texts: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the feature as plain data."""
        return asdict(self)

    @classmethod
    def of_function(cls, function: Function) -> Self:
        """Compile a function; it is named as the function is.

        Raises
        ------
        InputError
            The function takes another table, knows no such column, is no aggregate or no number, or an
            engine lacks what it uses.
        """
        name = function.__name__
        place = f"the feature function {name}"
        _check_name(name, place)
        given = list(inspect.signature(function).parameters)
        if len(given) != 1 or given[0] not in TABLES:
            raise InputError(
                f"{place} takes ({', '.join(given)}); let it take (days), one row per order, or (lines)"
            )
        table = ibis.table({SUBJECT: "int64"} | TABLES[given[0]], name=given[0])
        value = _called(function, table, given[0], place)
        feature = cls(name, {engine: _compiled(table, value, engine, place) for engine in ENGINES})
        return feature._tried(place)

    @classmethod
    def of_sql(cls, name: str, text: str) -> Self:
        """Compile ``select AGGREGATE from days`` (or ``lines``), with or without ``where``, in DuckDB's SQL.

        The condition chooses rows, never customers: who has none of them counts 0.

        Raises
        ------
        InputError
            The text is no such query, names an unknown column, is no number, or an engine lacks what it uses.
        """
        place = f"features.sql.{name} = {text!r}"
        _check_name(name, place)
        query = _parsed(text, place)
        feature = cls(name, {engine: _written(query, engine, place) for engine in ENGINES})
        return feature._tried(place)

    def _tried(self, place: str) -> Self:
        """Execute the texts over empty tables, so that what an engine lacks shows before any work."""
        with duckdb.connect() as batch, sqlite3.connect(":memory:") as live:
            for name, columns in TABLES.items():
                fields = {SUBJECT: "int64"} | columns
                typed = (f"{column} {DUCKDB_TYPES[kind]}" for column, kind in fields.items())
                batch.execute(f"CREATE TABLE {name} ({', '.join(typed)})")
                live.execute(f"CREATE TABLE {name} ({', '.join(fields)})")
            try:
                kind = batch.execute(f"DESCRIBE {self.texts['duckdb']}").fetchall()[1][1]
                live.execute(self.texts["sqlite"])
            except duckdb.Error as error:
                _refuse(place, str(error))
            except sqlite3.Error as error:
                raise InputError(
                    f"{place}: SQLite, which answers live requests, cannot run it ({error}); {REMEDY}"
                ) from None
            finally:
                live.rollback()
        if not NUMBERS.fullmatch(kind):
            raise InputError(f"{place} is of type {kind}, and a feature is a number; count or sum instead")
        return self


DUCKDB_TYPES = {"int64": "BIGINT", "float64": "DOUBLE", "string": "VARCHAR", "boolean": "BOOLEAN"}


def with_own(text: str, own: Sequence[OwnFeature], tables: Mapping[str, str], engine: str) -> str:
    """Let a query name each own feature as a table ``own_NAME`` of ``subject`` and ``value``.

    Parameters
    ----------
    text
        The query, of an engine.
    tables
        The texts of ``days`` and ``lines``.

    Returns
    -------
    The query with everything that it names. What is not finite, such as a quotient by zero, is null.
    """
    quote = "`" if engine == "databricks" else '"'
    named = dict(tables) | {f"own_{each.name}": FINITE.format(each.texts[engine]) for each in own}
    used = ", ".join(f"{quote}{name}{quote} AS ({query})" for name, query in named.items())
    rest = text.strip()
    return f"WITH {used}, {rest[4:]}" if rest[:5].upper().rstrip() == "WITH" else f"WITH {used} {rest}"


def unbound_own(feature: OwnFeature) -> ir.Table:
    """Return what `with_own` makes of a feature as an expression, its value in a column of its own."""
    table = ibis.table({SUBJECT: "int64", "value": "float64"}, name=f"own_{feature.name}")
    return table.rename({f"_own_{feature.name}": "value"})


def _check_name(name: str, place: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in RESERVED or name.startswith("process_"):
        raise InputError(
            f"{place}: {name!r} cannot name a feature; take small letters, digits and _, a letter first, and "
            "neither customer_id, as_of nor process_..."
        )


def _called(function: Function, table: ir.Table, given: str, place: str) -> ir.Scalar:
    try:
        value = function(table)
    except AttributeError as error:
        if error.obj is table:
            raise InputError(f"{place}: {_unknown(str(error.name), given)}") from None
        raise InputError(f"{place} fails: {error}") from None
    except Exception as error:  # noqa: BLE001 - whatever a user's code may raise
        raise InputError(f"{place} fails: {' '.join(str(error).split())}") from None
    if not isinstance(value, ir.Scalar):
        what = "a column" if isinstance(value, ir.Column) else f"a {type(value).__name__}"
        raise InputError(f"{place} returns {what}, not an aggregate; end it with .sum(), .max(), .mean() ...")
    if not (value.type().is_numeric() or value.type().is_boolean()):
        raise InputError(f"{place} returns a {value.type()}, and a feature is a number; count or sum instead")
    return value


def _compiled(table: ir.Table, value: ir.Scalar, engine: str, place: str) -> str:
    try:
        query = table.group_by(SUBJECT).aggregate(value=value.cast("float64"))
        return str(ibis.to_sql(query, dialect=engine))
    except IbisError as error:
        said = str(error).partition("\n")[0]
        raise InputError(f"{place} cannot be compiled for {engine} ({said}); {REMEDY}") from None


def _parsed(text: str, place: str) -> exp.Select:
    """Parse a query, let its condition choose rows within its aggregates, and group it by subject."""
    try:
        query = sqlglot.parse_one(text, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise InputError(f"{place} is no SQL: {str(error).partition(chr(10))[0]}") from None
    source = query.find(exp.From)
    table = source.this.name.lower() if source else ""
    clauses = {key for key, value in query.args.items() if value} - {"expressions", "from", "from_", "where"}
    nested = len(list(query.find_all(exp.Select, exp.Window))) > 1
    if (
        not isinstance(query, exp.Select)
        or table not in TABLES
        or clauses
        or nested
        or len(query.selects) > 1
    ):
        raise InputError(
            f"{place} is not 'select AGGREGATE from days' or 'from lines' with or without 'where'"
        )
    for column in query.find_all(exp.Column):
        if column.name.lower() not in TABLES[table]:
            raise InputError(f"{place}: {_unknown(column.name, table)}")
        column.set("table", None)
    value, where = query.selects[0].unalias().transform(_divided), query.args.get("where")
    if not value.find(exp.AggFunc):
        raise InputError(f"{place} is not an aggregate; take sum, count, avg, min or max")
    if where is not None:
        condition = where.transform(_divided)
        value = value.transform(lambda node: _chosen(node, condition))
    return exp.select(SUBJECT, exp.alias_(value, "value")).from_(table).group_by(SUBJECT)


def _divided(node: exp.Expr) -> exp.Expr:
    """Let a quotient by zero be null, and one in whole numbers be what it is on any engine: rounded down."""
    if not isinstance(node, exp.Div | exp.IntDiv | exp.Mod):
        return node
    node.set("expression", exp.func("nullif", node.expression, exp.Literal.number(0)))
    if isinstance(node, exp.IntDiv):
        return exp.Floor(this=exp.Div(this=node.this, expression=node.expression, typed=False, safe=False))
    return node


def _chosen(node: exp.Expr, where: exp.Where) -> exp.Expr:
    """Let an aggregate see only the rows of a condition, beside those it chose itself."""
    if isinstance(node, exp.Filter):
        return exp.Filter(
            this=node.this, expression=exp.Where(this=exp.and_(node.expression.this, where.this))
        )
    return exp.Filter(this=node, expression=where.copy()) if isinstance(node, exp.AggFunc) else node


def _written(query: exp.Select, engine: str, place: str) -> str:
    try:
        return query.sql(dialect=engine, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.errors.UnsupportedError as error:
        raise InputError(f"{place} cannot be written for {engine} ({error}); {REMEDY}") from None


def _unknown(column: str, table: str) -> str:
    return f"{table} has no column {column!r}; {nearest(column, TABLES[table])}"


def _refuse(place: str, said: str) -> NoReturn:
    if "GROUP BY" in said:
        raise InputError(
            f"{place} is not an aggregate: each column must stand within sum, count, avg, min or max"
        )
    raise InputError(f"{place} cannot run: {said.partition(chr(10))[0]}") from None
