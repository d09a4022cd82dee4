"""The SQL that turns a scanned source into a canonical table, with the rules for what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import duckdb

from features.contract import CONTRACTS, ORDERS, SCALE, TREATMENTS, Kind, Table
from features.parsing import LIMIT, NO, NOTHING, WHAT, YES, Cell, identifier, literal, local_day
from features.scans import FILE, ROW, Scan

FAULT = "staging fault"
BITS = "staging corrections"
SQL_TYPES = {Kind.TEXT: "VARCHAR", Kind.NUMBER: "DOUBLE"}
AMOUNT_PARTS = ("quantity", "unit_price")
SMALL = 3_000_000_000
"""The product of two such numbers fits 64 bits, which is ten times as quick."""


@dataclass(frozen=True)
class Rule:
    """What can be wrong with a row.

    Parameters
    ----------
    column
        The canonical column to look at.
    text
        What is wrong, in words.
    condition
        SQL over the parsed rows.
    action
        What is done with a value that needs no quarantine.
    """

    column: str
    text: str
    condition: str
    action: str = "read as null"


ODD = {
    CONTRACTS.name: (
        Rule("renews_at", "is not after started_at", "coalesce(renews_at <= started_at, FALSE)"),
        Rule("fee", "is negative", "coalesce(fee < 0, FALSE)"),
    ),
    TREATMENTS.name: (Rule("cost", "is negative", "coalesce(cost < 0, FALSE)"),),
}
"""Rules for values of a table that are read as null."""


@dataclass(frozen=True)
class Canonical:
    """The rows of one table, as SQL.

    Parameters
    ----------
    columns
        The staged columns in order.
    values
        SQL of each over the parsed rows.
    parsed
        SQL: canonical columns as parsed, whether each was given, and the source's own columns.
    faults
        Rules that make a row unusable; the first one hit is its reason.
    corrections
        Rules that make a value null, or change it.
    """

    columns: dict[str, Kind]
    values: dict[str, str]
    parsed: str
    faults: tuple[Rule, ...]
    corrections: tuple[Rule, ...]

    @property
    def sql(self) -> str:
        """Every row, with the number of its fault (null: none), its corrections as bits, its file."""
        listed = ", ".join(f"{self.values[name]} AS {identifier(name)}" for name in self.columns)
        return f"SELECT {listed}, {self.marks}, {identifier(FILE)} FROM ({self.parsed})"

    @cached_property
    def marks(self) -> str:
        """The two columns that say what is wrong with a row."""
        cases = " ".join(f"WHEN {rule.condition} THEN {n}" for n, rule in enumerate(self.faults))
        bits = " + ".join(
            f"CASE WHEN {rule.condition} THEN {1 << n} ELSE 0 END" for n, rule in enumerate(self.corrections)
        )
        return (
            f"CAST(CASE {cases} END AS UTINYINT) AS {identifier(FAULT)}, "
            f"CAST({bits or 0} AS UINTEGER) AS {identifier(BITS)}"
        )


def given(column: str) -> str:
    """Name the parsed rows' column that says whether a value was given."""
    return identifier(f"given {column}")


def raw(column: str) -> str:
    """Name the parsed rows' column that holds the source's own column."""
    return identifier(f"raw {column}")


def canonical(
    table: Table,
    scan: Scan,
    connection: duckdb.DuckDBPyConnection,
    time_zone: str,
    kinds: Mapping[str, Kind] = MappingProxyType({}),
) -> Canonical:
    """Write the SQL of one table.

    Parameters
    ----------
    time_zone
        Whose calendar days ``day`` counts.
    kinds
        What further columns of an open table are to hold, where all their values can be read so.
    """
    columns = table.staged
    if table.open_ended:
        found = attribute_kinds(table, scan, connection)
        columns = columns | found | _readable(kinds, found, scan, connection)
    values = {name: identifier(name) for name in columns}
    if "ingested_at" in table.staged:
        values["ingested_at"] = f"coalesce(ingested_at, {table.clock})"
    if "line" in table.staged:
        values["line"] = f"(CAST({identifier(FILE)} AS BIGINT) << 40) + {identifier(ROW)}"
    if "day" in table.staged:
        values["day"] = local_day(str(table.clock), time_zone)
    if table is ORDERS:
        values |= {
            "amount": "CASE WHEN is_return = 1 AND net > 0 THEN -net ELSE net END",
            "quantity": "CASE WHEN is_return = 1 AND net > 0 THEN -abs(quantity) ELSE quantity END",
            "is_return": "coalesce(is_return, CAST(net < 0 OR (net = 0 AND quantity < 0) AS BIGINT), 0)",
        }
    for rule in ODD.get(table.name, ()):
        values[rule.column] = f"CASE WHEN NOT ({rule.condition}) THEN {rule.column} END"
    parsed = _parsed(columns, scan)
    if table is ORDERS:
        parsed = f"SELECT *, {_net(scan)} AS net FROM ({parsed})"
    return Canonical(columns, values, parsed, _faults(table, scan), _corrections(table, scan))


def _parsed(columns: dict[str, Kind], scan: Scan) -> str:
    selected = [f"{identifier(name)} AS {raw(name)}" for name in scan.columns]
    for name, kind in columns.items():
        cell = scan.cells.get(name)
        if cell:
            selected += [f"{cell.read_as(kind)} AS {identifier(name)}", f"{cell.given} AS {given(name)}"]
        else:
            selected.append(f"CAST(NULL AS {SQL_TYPES.get(kind, 'BIGINT')}) AS {identifier(name)}")
    return f"SELECT {', '.join(selected)}, {identifier(FILE)}, {identifier(ROW)} FROM ({scan.relation})"


def _net(scan: Scan) -> str:
    """Write the amount: as given, or else quantity x unit price, rounded half away from zero."""
    if not set(AMOUNT_PARTS) <= scan.cells.keys():
        return "amount"
    half = f"CASE WHEN (quantity < 0) <> (unit_price < 0) THEN -{SCALE // 2} ELSE {SCALE // 2} END"
    wide = f"(CAST(quantity AS HUGEINT) * unit_price + {half}) // {SCALE}"
    small = " AND ".join(f"{part} BETWEEN -{SMALL} AND {SMALL}" for part in AMOUNT_PARTS)
    bounded = f"{wide} BETWEEN -{LIMIT * SCALE} AND {LIMIT * SCALE}"
    product = (
        f"CASE WHEN {small} THEN (quantity * unit_price + {half}) // {SCALE} "
        f"WHEN {bounded} THEN CAST({wide} AS BIGINT) END"
    )
    return (
        f"CASE WHEN {given('amount')} THEN amount ELSE {product} END" if "amount" in scan.cells else product
    )


def _faults(table: Table, scan: Scan) -> tuple[Rule, ...]:
    rules = []
    for name in table.required:
        if table is ORDERS and name == "amount":
            rules += _amount_faults(scan)
            continue
        rules.append(Rule(name, "is missing", f"NOT {given(name)}"))
        rules += _unreadable(name, table.columns[name], scan.cells[name])
    if table is CONTRACTS:
        rules.append(Rule("ended_at", "is before started_at", "coalesce(ended_at < started_at, FALSE)"))
    return tuple(rules)


def _amount_faults(scan: Scan) -> list[Rule]:
    rules = []
    absent = "TRUE"
    if "amount" in scan.cells:
        rules += _unreadable("amount", Kind.MONEY, scan.cells["amount"])
        absent = f"NOT {given('amount')}"
    if set(AMOUNT_PARTS) <= scan.cells.keys():
        for part in AMOUNT_PARTS:
            rules += [
                Rule(part, rule.text, f"{absent} AND {rule.condition}")
                for rule in _unreadable(part, ORDERS.columns[part], scan.cells[part])
            ]
        missing = " OR ".join(f"NOT {given(part)}" for part in AMOUNT_PARTS)
        rules.append(Rule("amount", "is missing", f"{absent} AND ({missing})"))
        rules.append(
            Rule("amount", "is beyond 90 billion (quantity x unit price)", f"{absent} AND net IS NULL")
        )
    else:
        rules.append(Rule("amount", "is missing", absent))
    return rules


def _corrections(table: Table, scan: Scan) -> tuple[Rule, ...]:
    needed = {*table.required}
    rules = [
        rule
        for name, kind in table.columns.items()
        if name in scan.cells and name not in needed
        for rule in _unreadable(name, kind, scan.cells[name])
    ]
    if table is ORDERS and "is_return" in scan.cells:
        turned = "is_return = 1 AND net > 0"
        rules.append(Rule("amount", "is positive though the line is a return", turned, "sign turned"))
    if table is TREATMENTS and "is_holdout" in scan.cells:
        rules.append(Rule("is_holdout", "is missing", f"NOT {given('is_holdout')}"))
    rules += [rule for rule in ODD.get(table.name, ()) if rule.column in scan.cells]
    return tuple(rules)


def _unreadable(name: str, kind: Kind, cell: Cell) -> list[Rule]:
    if not cell.may_fail(kind):
        return []
    return [Rule(name, f"is not {WHAT[kind]}", f"({given(name)} AND {identifier(name)} IS NULL)")]


def attribute_kinds(table: Table, scan: Scan, connection: duckdb.DuckDBPyConnection) -> dict[str, Kind]:
    """Tell what the further columns of an open table hold: text that is all numbers is a number.

    Words such as NA that stand for nothing do not keep a column of numbers from being one. Text is a flag
    when it is all yes and no (in the words of `features.parsing`) and has a word that is no number, and
    stays text where a number would lose leading zeros.
    """
    by_family = {"integer": Kind.NUMBER, "float": Kind.NUMBER, "decimal": Kind.NUMBER, "flag": Kind.FLAG}
    cells = {name: cell for name, cell in scan.cells.items() if name not in table.columns}
    kinds = {name: by_family.get(cell.family, Kind.TEXT) for name, cell in cells.items()}
    texts = {name: cell for name, cell in cells.items() if cell.family == "text"}
    if texts:
        tests = ", ".join(f"{_all_numbers(cell)}, {_all_flags(cell)}" for cell in texts.values())
        found = connection.execute(f"SELECT {tests} FROM ({scan.relation})").fetchall()[0]
        for position, name in enumerate(texts):
            is_number, is_flag = found[2 * position : 2 * position + 2]
            kinds[name] = Kind.NUMBER if is_number else Kind.FLAG if is_flag else Kind.TEXT
    return kinds


def _readable(
    kinds: Mapping[str, Kind], found: Mapping[str, Kind], scan: Scan, connection: duckdb.DuckDBPyConnection
) -> dict[str, Kind]:
    """Return the kinds of the columns that are there and have no value that cannot be read so."""
    wanted = {name: kind for name, kind in kinds.items() if found.get(name, kind) is not kind}
    if not wanted:
        return {}
    tests = [_all_readable(scan.cells[name], kind) for name, kind in wanted.items()]
    told = connection.execute(f"SELECT {', '.join(tests)} FROM ({scan.relation})").fetchall()[0]
    return {
        name: kind
        for (name, kind), readable in zip(wanted.items(), told, strict=True)
        if readable is not False
    }


def _all_readable(cell: Cell, kind: Kind) -> str:
    """Write SQL for whether no value speaks against a kind: false, or else true or null."""
    if kind is Kind.NUMBER and cell.family == "text":
        return _all_numbers(cell)
    return f"bool_and({cell.read_as(kind)} IS NOT NULL) FILTER ({cell.given})"


def _all_numbers(cell: Cell) -> str:
    padded = f"regexp_matches({cell.raw}, '^0[0-9]')"
    is_something = f"{cell.given} AND lower({cell.raw}) NOT IN ({', '.join(map(literal, NOTHING))})"
    return f"bool_and({cell.read_as(Kind.NUMBER)} IS NOT NULL AND NOT {padded}) FILTER ({is_something})"


def _all_flags(cell: Cell) -> str:
    words = ", ".join(map(literal, YES + NO))
    return f"bool_and(lower({cell.raw}) IN ({words})) FILTER ({cell.given})"
