"""Protected attributes: customers are compared by them, and never forecast from them unless set so."""

from collections.abc import Collection, Iterable, Sequence

import duckdb

from features.configuration import Configuration, nearest
from features.contract import CUSTOMERS
from features.errors import InputError
from features.sources import CustomersSource, Source, read_sources
from features.survey import attribute_kinds
from features.tier_settings import FairnessSettings, TierSettings


def protected_attributes(configuration: Configuration) -> tuple[str, ...]:
    """Return the columns of ``customers`` that must be no features."""
    fairness = _settings(configuration)
    return () if fairness.may_be_features else fairness.attributes


def feature_sources(configuration: Configuration, connection: duckdb.DuckDBPyConnection) -> dict[str, Source]:
    """Read every ``[sources.NAME]`` table for planning features: protected attributes are left out.

    Parameters
    ----------
    connection
        With the staged tables.

    Raises
    ------
    InputError
        As of `read_sources`, or ``tiers.fairness.attributes`` names no attribute of ``customers``.
    """
    sources = read_sources(configuration)
    check_attributes(connection, _settings(configuration).attributes)
    customers = sources.get(CUSTOMERS.name)
    if not isinstance(customers, CustomersSource):
        return sources
    left_out = (*customers.left_out, *protected_attributes(configuration))
    return sources | {CUSTOMERS.name: customers.model_copy(update={"left_out": left_out})}


def check_attributes(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
    """Check that these are attributes of the staged ``customers``.

    Raises
    ------
    InputError
        One is not; names the nearest.
    """
    known = list(attribute_kinds(connection))
    for name in names:
        if name not in known:
            hint = nearest(name, known) if known else "there are none; bring them as sources.customers"
            raise InputError(f"tiers.fairness.attributes: {name!r} is no attribute of customers; {hint}")


def refuse_protected(columns: Iterable[str], protected: Collection[str], *, where: str) -> None:
    """Refuse a condition or an amount that reads a protected attribute.

    Parameters
    ----------
    columns
        That it reads.
    where
        What it stands in, for the error.

    Raises
    ------
    InputError
        It reads one; names the first.
    """
    if named := [name for name in columns if name in protected]:
        raise InputError(
            f"{where} names {named[0]!r}, which tiers.fairness.attributes protects; take it out, or set "
            "tiers.fairness.may_be_features = true"
        )


def _settings(configuration: Configuration) -> FairnessSettings:
    return configuration.section("tiers", TierSettings).fairness
