"""Whether the staged tables hold what a feature plan reads."""

import duckdb

from features.batch import tables_in
from features.contract import CONTRACTS, CUSTOMERS, FEEDBACK, INTERACTIONS, ORDERS, Kind
from features.parsing import identifier
from features.plan import FeaturePlan

TYPES = {Kind.TEXT: "VARCHAR", Kind.NUMBER: "DOUBLE", Kind.FLAG: "BIGINT"}


def lacking(connection: duckdb.DuckDBPyConnection, plan: FeaturePlan) -> str | None:
    """Name the first thing that a plan reads and that no source gives; null when all is there.

    A column of orders lacks when none of its lines has a value; an attribute also when it is of another
    kind than it was.
    """
    tables = tables_in(connection)
    read = {
        ORDERS.name: plan.reads_orders,
        CONTRACTS.name: plan.reads_contracts,
        INTERACTIONS.name: bool(plan.interaction_kinds),
        FEEDBACK.name: bool(plan.feedback_kinds or plan.feedback_topics),
        CUSTOMERS.name: bool(plan.attributes or plan.knows_joining),
    }
    for name, is_read in read.items():
        if is_read and name not in tables:
            return f"the table {name}"
    return _lacking_attribute(connection, plan) or _lacking_column(connection, plan)


def _lacking_attribute(connection: duckdb.DuckDBPyConnection, plan: FeaturePlan) -> str | None:
    if not plan.attributes:
        return None
    types = {row[0]: row[1] for row in connection.execute(f"DESCRIBE {CUSTOMERS.name}").fetchall()}
    for each in plan.attributes:
        if types.get(each.name) != TYPES[each.kind]:
            return f"the {each.kind} column {CUSTOMERS.name}.{each.name}"
    return None


def _lacking_column(connection: duckdb.DuckDBPyConnection, plan: FeaturePlan) -> str | None:
    if not plan.order_columns:
        return None
    counts = ", ".join(f"count({identifier(column)})" for column in plan.order_columns)
    found = connection.execute(f"SELECT {counts} FROM {ORDERS.name}").fetchall()[0]
    empty = [column for column, count in zip(plan.order_columns, found, strict=True) if not count]
    return f"the column {ORDERS.name}.{empty[0]}" if empty else None
