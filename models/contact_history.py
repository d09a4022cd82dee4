"""What passed between the company and each customer, as contact rules look at it: queries for DuckDB."""

from collections.abc import Collection, Sequence

from features.contract import DAY, FEEDBACK, INTERACTIONS, TREATMENTS, Kind, Table
from features.feedback import COMPLAINT
from features.instants import Cutoff
from features.parsing import literal
from features.treatment_settings import NOTHING

ANSWERS = {
    "email_open": "email",
    "email_click": "email",
    "reply": "email",
    "call": "phone",
    "message": "message",
}
"""The kinds of interactions that answer a contact, with the channel of one that names none."""
ANSWERED_DAYS = 365
OPEN_DAYS = 180
"""For so long a complaint counts that nobody marked as resolved: many companies mark none."""
_TYPES = {Kind.TEXT: "VARCHAR", Kind.NUMBER: "DOUBLE"}


def contacts_sql(tables: Collection[str], cutoff: Cutoff, treatments: Sequence[str], within_days: int) -> str:
    """Write how often and when a customer was treated before the cutoff.

    Days are those between two instants, rounded: a plan that is made some minutes earlier in the day than the
    last one does not come too early.

    Parameters
    ----------
    tables
        Those that there are.

    Returns
    -------
    One row per customer with any assignment: ``_contacts``, how many in `within_days`; ``_contact_days``
    since the last one; and ``_days_0`` and so on since each of the treatments was assigned last, carried
    out or withheld; null without.
    """
    is_contact = f"(coalesce(is_holdout, 0) = 0 AND treatment <> {literal(NOTHING)} AND channel IS NOT NULL)"
    days = f"(({cutoff.micros} - assigned_at + {DAY // 2}) // {DAY})"
    since = "".join(
        f", min({days}) FILTER (treatment = {literal(name)}) AS _days_{at}"
        for at, name in enumerate(treatments)
    )
    return (
        f"SELECT customer_id, count(*) FILTER ({is_contact} AND {days} < {within_days}) AS _contacts, "
        f"min({days}) FILTER ({is_contact}) AS _contact_days{since} "
        f"FROM {_staged(TREATMENTS, tables)} WHERE assigned_at < {cutoff.micros} GROUP BY customer_id"
    )


def answers_sql(tables: Collection[str], cutoff: Cutoff, channels: Sequence[str]) -> str:
    """Write over which channels a customer answered in the year before the cutoff.

    Returns
    -------
    One row per customer with any answer: ``_answers_0`` and so on, how many over each of the channels.
    """
    kinds = "".join(f" WHEN {literal(kind)} THEN {literal(channel)}" for kind, channel in ANSWERS.items())
    channel = f"coalesce(channel, CASE kind{kinds} END)"
    counts = "".join(
        f", count(*) FILTER ({channel} = {literal(name)}) AS _answers_{at}"
        for at, name in enumerate(channels)
    )
    return (
        f"SELECT customer_id{counts} FROM {_staged(INTERACTIONS, tables)} "
        f"WHERE kind IN ({', '.join(map(literal, ANSWERS))}) AND {_known(cutoff)} "
        f"AND day >= {cutoff.day - ANSWERED_DAYS} GROUP BY customer_id"
    )


def complaints_sql(tables: Collection[str], cutoff: Cutoff) -> str:
    """Write who complained of late and waited still at the cutoff: ``customer_id``, ``_complains``."""
    return (
        f"SELECT DISTINCT customer_id, true AS _complains FROM {_staged(FEEDBACK, tables)} "
        f"WHERE kind = {literal(COMPLAINT)} AND {_known(cutoff)} "
        f"AND occurred_at >= {cutoff.micros - OPEN_DAYS * DAY} "
        f"AND NOT coalesce(resolved_at < {cutoff.micros}, false)"
    )


def _known(cutoff: Cutoff) -> str:
    return f"occurred_at < {cutoff.micros} AND ingested_at <= {cutoff.micros}"


def _staged(table: Table, tables: Collection[str]) -> str:
    """Name a staged table, or write one without rows where the company has no such records."""
    if table.name in tables:
        return table.name
    columns = (f"CAST(NULL AS {_TYPES.get(kind, 'BIGINT')}) AS {name}" for name, kind in table.staged.items())
    return f"(SELECT {', '.join(columns)} WHERE false)"
