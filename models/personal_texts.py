"""Texts of playbooks, filled in for each customer."""

from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from features.parsing import identifier, literal
from models.playbooks import PLACE, Playbook
from models.subjects import TABLE

UNKNOWN = "?"


def personal_texts(
    connection: duckdb.DuckDBPyConnection,
    playbooks: Sequence[Playbook],
    assigned: pa.Table,
    due: Mapping[str, str],
) -> dict[str, str]:
    """Fill in the texts that leave places for what is known of a customer.

    Parameters
    ----------
    connection
        With the table ``subjects``.
    assigned
        One row per customer: ``customer_id``, ``treatment``.
    due
        The days that are the same for everybody: those of `models.playbooks.DUE`.

    Returns
    -------
    By customer_id the text, of those whose treatment's text has places: whole numbers as they are, others
    with two digits, ``?`` where a value is not known.
    """
    open_ended = [each for each in playbooks if each.places]
    if not open_ended:
        return {}
    types = dict(connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE {TABLE})").fetchall())
    whens = "".join(
        f" WHEN {literal(each.name)} THEN {_filled(each.text, types, due)}" for each in open_ended
    )
    names = ", ".join(literal(each.name) for each in open_ended)
    connection.register("assigned", assigned)
    rows = connection.execute(
        f"SELECT customer_id, CASE assigned.treatment{whens} END FROM {TABLE} "
        f"JOIN assigned USING (customer_id) WHERE assigned.treatment IN ({names})"
    ).fetchall()
    connection.unregister("assigned")
    return dict(rows)


def _filled(text: str, types: Mapping[str, str], due: Mapping[str, str]) -> str:
    """Write a text with its places filled in as SQL."""
    parts = PLACE.split(text)
    filled = [
        literal(part) if at % 2 == 0 else literal(due[part]) if part in due else _told(part, types[part])
        for at, part in enumerate(parts)
    ]
    return f"concat({', '.join(filled)})"


def _told(name: str, kind: str) -> str:
    column = f"{TABLE}.{identifier(name)}"
    if kind == "VARCHAR":
        return f"coalesce({column}, {literal(UNKNOWN)})"
    whole = f"format('{{:,}}', TRY_CAST({column} AS BIGINT))"
    fraction = f"format('{{:,.2f}}', CAST({column} AS DOUBLE))"
    written = f"coalesce(CASE WHEN {column} = round({column}) THEN {whole} END, {fraction})"
    return f"coalesce({written}, {literal(UNKNOWN)})"
