"""Contact rules: which treatments are open to whom, as one pass of SQL over the subjects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import duckdb

from features.batch import tables_in
from features.configuration import nearest
from features.contract import Kind
from features.errors import InputError
from features.instants import Cutoff
from features.protected import refuse_protected
from features.treatment_settings import ANY, AUTOMATED, Cadence, PlanSettings
from models.condition_values import literal
from models.conditions import Condition
from models.contact_history import answers_sql, complaints_sql, contacts_sql
from models.cuts import Cuts, measured_cuts
from models.playbooks import DEFAULT_TIERS, Playbook, shipped_cadence
from models.subjects import TABLE

ARMS, CLOSED = "arms", "closed"
_VALUE = "coalesce(CAST(expected_value AS DOUBLE), 0) AS _value"
_NO_ARM = (
    "SELECT NULL::VARCHAR AS customer_id, NULL::VARCHAR AS treatment, NULL::VARCHAR AS channel, "
    "NULL::DOUBLE AS cost, NULL::DOUBLE AS effect, NULL::DOUBLE AS value, NULL::VARCHAR AS rule WHERE false"
)
RULES = (
    *("opted_out", "channel_opt_out", "open_complaint", "cooldown", "frequency_cap", "cadence", "quiet"),
    "automated_opt_out",
)
"""Why a treatment is closed to a customer; of several reasons the first."""


@dataclass(frozen=True)
class ContactRules:
    """Consent, cadence and limits of contact, read.

    Parameters
    ----------
    settings
        The ``[plan]``.
    allowed
        Conditions by channel; under ``any`` for all of them, under ``automated`` for decisions by machine.
    cadence
        Of the tiers.
    """

    settings: PlanSettings
    allowed: Mapping[str, Condition]
    cadence: tuple[Cadence, ...]

    @classmethod
    def of(
        cls,
        settings: PlanSettings,
        playbooks: Sequence[Playbook],
        *,
        columns: Mapping[str, Kind],
        tiers: Sequence[str] = DEFAULT_TIERS,
        protected: Sequence[str] = (),
    ) -> Self:
        """Check the settings and read them.

        Parameters
        ----------
        columns
            Of subjects, with what they hold.
        tiers
            Their names, best first.
        protected
            Attributes by which nobody is treated differently: those of `features.protected`.

        Raises
        ------
        InputError
            A condition is wrong or names a protected attribute, or a channel or a tier is named that there is
            not.
        """
        _check_names(settings, playbooks, tiers)
        allowed = {}
        for name, text in settings.allowed.items():
            where = f"plan.allowed.{name}"
            allowed[name] = Condition.read(text, columns=columns, where=where)
            refuse_protected(allowed[name].columns, protected, where=where)
        shipped = shipped_cadence(tiers) if all(each.is_shipped for each in playbooks) else ()
        return cls(settings, allowed, shipped if settings.cadence is None else settings.cadence)

    def allows(self, name: str, cuts: Cuts) -> str:
        """Write whether a channel, ``any`` or ``automated`` is allowed to a customer."""
        return self.allowed[name].sql(cuts) if name in self.allowed else "true"

    def is_too_early(self) -> str:
        """Write whether the last contact is too near for a customer of the tier."""
        whens = "".join(
            f" WHEN {literal(each.tier)} THEN {each.every_days}" for each in self.cadence if each.every_days
        )
        return f"coalesce(contacts._contact_days < CASE value_tier{whens} END, false)" if whens else "false"

    def reaches(self, channel: str) -> str:
        """Write whether a channel is one of those of the customer's tier."""
        without = [
            literal(each.tier)
            for each in self.cadence
            if each.channels is not None and channel not in each.channels
        ]
        return f"coalesce(value_tier NOT IN ({', '.join(without)}), true)" if without else "true"


def _check_names(settings: PlanSettings, playbooks: Sequence[Playbook], tiers: Sequence[str]) -> None:
    """Refuse a channel that no treatment goes over, and a tier that there is not."""
    channels = dict.fromkeys(channel for playbook in playbooks for channel in playbook.channels)
    for place, named in _channels_named(settings):
        if named not in channels:
            known = nearest(named, channels) if channels else "there are no treatments"
            raise InputError(f"{place}: no treatment goes over the channel {named!r}; {known}")
    for number, each in enumerate(settings.cadence or ()):
        if each.tier not in tiers:
            raise InputError(
                f"plan.cadence.{number}.tier: there is no tier {each.tier!r}; {nearest(each.tier, tiers)}"
            )


def _channels_named(settings: PlanSettings) -> list[tuple[str, str]]:
    """Return the channels that a plan names, each with its place."""
    return [
        *((f"plan.capacity.{name}", name) for name in settings.capacity),
        *((f"plan.allowed.{name}", name) for name in settings.allowed if name not in {ANY, AUTOMATED}),
        *(
            (f"plan.cadence.{number}.channels", name)
            for number, each in enumerate(settings.cadence or ())
            for name in each.channels or ()
        ),
    ]


def open_arms(
    connection: duckdb.DuckDBPyConnection,
    playbooks: Sequence[Playbook],
    rules: ContactRules,
    *,
    cutoff: Cutoff,
) -> None:
    """Make the tables ``arms`` and ``closed``: what is open to each customer, and what a rule closes.

    Parameters
    ----------
    connection
        With the table ``subjects`` (one row per customer: ``value_tier``, ``expected_value``, and the columns
        that playbooks and rules read), and where there are such records the staged ``treatments``,
        ``interactions`` and ``feedback``.

    Returns
    -------
    ``arms``: one row per customer and treatment open to them: ``customer_id``, ``treatment``, ``channel``
    (of those allowed the one that the customer answered most, of equals the first of the playbook), ``cost``
    (the fixed one), ``effect`` (assumed; null where not known) and ``value`` (expected; 0 where not known),
    all three in the project's currency. ``closed``: one row per customer and treatment whose condition holds
    and that a rule closes: ``customer_id``, ``treatment``, ``rule`` (one of `RULES`).
    """
    conditions = [*(each.when for each in playbooks), *rules.allowed.values()]
    cuts = measured_cuts(connection, (cut for condition in conditions for cut in condition.cuts), TABLE)
    channels = tuple(dict.fromkeys(name for each in playbooks for name in each.channels))
    is_quiet = rules.settings.first_day(cutoff.day) is None
    arms = [
        _arm_sql(playbook, at, [channels.index(name) for name in playbook.channels], is_quiet=is_quiet)
        for at, playbook in enumerate(playbooks)
    ]
    history = _history_sql(connection, playbooks, channels, rules, cutoff)
    # Attributes may be called as our own columns: conditions see the subjects alone.
    own = ", ".join([*_allowed(rules, channels, cuts), *_eligible(playbooks, cuts), _VALUE])
    judged = f"(SELECT customer_id, value_tier, {own} FROM {TABLE}) AS told"
    past = ", ".join(_past(rules, channels, playbooks))
    connection.execute(f"CREATE TEMP TABLE wide AS SELECT told.*, {past} FROM {judged} {history}")
    connection.execute(f"CREATE TEMP TABLE judged AS {' UNION ALL '.join([_NO_ARM, *arms])}")
    connection.execute(
        f"CREATE OR REPLACE TABLE {ARMS} AS SELECT * EXCLUDE (rule) FROM judged WHERE rule IS NULL"
    )
    connection.execute(
        f"CREATE OR REPLACE TABLE {CLOSED} AS "
        "SELECT customer_id, treatment, rule FROM judged WHERE rule IS NOT NULL"
    )
    connection.execute("DROP TABLE wide; DROP TABLE judged")


def _history_sql(
    connection: duckdb.DuckDBPyConnection,
    playbooks: Sequence[Playbook],
    channels: Sequence[str],
    rules: ContactRules,
    cutoff: Cutoff,
) -> str:
    tables, names = tables_in(connection), [each.name for each in playbooks]
    queries = {
        "contacts": contacts_sql(tables, cutoff, names, rules.settings.contact_days),
        "answers": answers_sql(tables, cutoff, channels),
        "complaints": complaints_sql(tables, cutoff),
    }
    return " ".join(f"LEFT JOIN ({query}) AS {name} USING (customer_id)" for name, query in queries.items())


def _allowed(rules: ContactRules, channels: Sequence[str], cuts: Cuts) -> Iterator[str]:
    """Write what is allowed to each customer."""
    yield f"{rules.allows(ANY, cuts)} AS _any"
    yield f"{rules.allows(AUTOMATED, cuts)} AS _automated"
    for at, channel in enumerate(channels):
        yield f"{rules.allows(channel, cuts)} AS _allows_{at}"
        yield f"{rules.reaches(channel)} AS _reaches_{at}"


def _eligible(playbooks: Sequence[Playbook], cuts: Cuts) -> Iterator[str]:
    """Write for whom each playbook is, and its effect."""
    for at, playbook in enumerate(playbooks):
        yield f"{playbook.when.sql(cuts)} AS _when_{at}"
        yield f"CAST({playbook.effect.sql()} AS DOUBLE) AS _effect_{at}"


def _past(rules: ContactRules, channels: Sequence[str], playbooks: Sequence[Playbook]) -> Iterator[str]:
    """Write how near the last contacts are, what was answered, and which playbooks were tried too lately."""
    yield "coalesce(complaints._complains, false) AS _complains"
    yield f"coalesce(contacts._contacts, 0) >= {rules.settings.most_contacts} AS _is_full"
    yield f"{rules.is_too_early()} AS _is_early"
    for at in range(len(channels)):
        yield f"coalesce(answers._answers_{at}, 0) AS _answers_{at}"
    for at, playbook in enumerate(playbooks):
        yield f"coalesce(contacts._days_{at} < {playbook.cooldown_days}, false) AS _cools_{at}"


def _arm_sql(playbook: Playbook, at: int, channels: Sequence[int], *, is_quiet: bool) -> str:
    """Write the rows of a playbook: who is eligible, over which channel, and the rule that closes it.

    A duty is bound to consent alone: neither the frequency of contacts nor a tier's cadence closes it.
    """
    permitted = [f"_allows_{each}" + ("" if playbook.duty else f" AND _reaches_{each}") for each in channels]
    scores = [
        f"CASE WHEN {may} THEN _answers_{each} * {len(channels)} + {len(channels) - place} ELSE 0 END"
        for place, (each, may) in enumerate(zip(channels, permitted, strict=True))
    ]
    best = f"greatest({', '.join(scores)})" if len(scores) > 1 else scores[0]
    named = zip(scores, playbook.channels, strict=True)
    channel = "".join(f" WHEN {best} = {score} THEN {literal(name)}" for score, name in named)
    closing = {
        "opted_out": "NOT _any",
        "channel_opt_out": f"NOT ({' OR '.join(f'_allows_{each}' for each in channels)})",
        "open_complaint": "_complains" if playbook.sells else "false",
        "cooldown": f"_cools_{at}",
        "frequency_cap": "false" if playbook.duty else "_is_full",
        "cadence": f"({'false' if playbook.duty else '_is_early'} OR {best} = 0)",
        "quiet": "true" if is_quiet else "false",
        "automated_opt_out": "NOT _automated",
    }
    rule = "".join(f" WHEN {closes} THEN {literal(name)}" for name, closes in closing.items())
    return (
        f"SELECT customer_id, {literal(playbook.name)}, CASE{channel} END, "
        f"{literal(playbook.cost)}, _effect_{at}, _value, CASE{rule} END FROM wide WHERE _when_{at}"
    )
