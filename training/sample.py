"""A few customers with all their staged rows in a database of their own: there, anything may be tried."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from features.batch import match_refunds, put_on_spine, tables_in
from features.contract import ORDERS, TABLES, TREATMENTS
from features.instants import Cutoff
from features.live import LiveEngine
from features.parsing import identifier
from features.plan import FeaturePlan

CUSTOMERS = 50

READ = TABLES.keys() - {TREATMENTS.name}
"""The canonical tables that features may read."""

Feature = Mapping[str, float]
"""A feature by customer_id, NaN where it is null."""


@dataclass(frozen=True)
class Sample:
    """Some of the customers who ordered before a cutoff, drawn by a hash of their id.

    Parameters
    ----------
    connection
        With their rows, and no others.
    plan
        The features.
    cutoff
        The `as_of`.
    """

    connection: duckdb.DuckDBPyConnection
    plan: FeaturePlan
    cutoff: Cutoff

    @classmethod
    @contextmanager
    def of(cls, staged: duckdb.DuckDBPyConnection, plan: FeaturePlan, cutoff: Cutoff) -> Iterator["Sample"]:
        """Copy the rows of the customers out of the staged tables."""
        drawn = (
            f"SELECT DISTINCT customer_id FROM {ORDERS.name} WHERE ordered_at < {cutoff.micros} "
            f"AND ingested_at <= {cutoff.micros} ORDER BY hash(customer_id), customer_id LIMIT {CUSTOMERS}"
        )
        with duckdb.connect(config={"threads": 1}) as connection:
            for table in tables_in(staged):
                if table in READ:
                    rows = staged.sql(
                        f"SELECT * FROM {table} WHERE customer_id IN (SELECT customer_id FROM ({drawn}))"
                    ).to_arrow_table()
                    connection.register("given", rows)
                    connection.execute(f"CREATE TABLE {table} AS SELECT * FROM given")
                    connection.unregister("given")
            yield cls(connection, plan, cutoff)

    @property
    def tables(self) -> list[str]:
        """The canonical tables that there are."""
        return sorted(tables_in(self.connection) & READ)

    def features(self) -> dict[str, Feature]:
        """Return the features by name, as the batch engine makes them."""
        steps = self.plan.sql()["duckdb"]
        match_refunds(self.connection, steps)
        put_on_spine(self.connection, f"SELECT customer_id FROM {ORDERS.name}", self.cutoff)
        rows = self.connection.execute(steps["features"]).fetchall()
        return self._by_name({str(row[0]): row[2:] for row in rows})

    def live_features(self) -> dict[str, Feature]:
        """Return the features by name, as the live engine makes them."""
        engine = LiveEngine(self.plan.sql()["sqlite"], attributes=self.plan.attribute_names)
        customers = self.connection.execute(f"SELECT DISTINCT customer_id FROM {ORDERS.name}").fetchall()
        rows = {name: engine.features(self._rows(name), name, self.cutoff) for (name,) in customers}
        return self._by_name(rows)

    def _rows(self, customer_id: str) -> dict[str, list[tuple[object, ...]]]:
        found = {}
        for name in self.tables:
            table = TABLES[name]
            columns = [*table.staged, *(self.plan.attribute_names if table.open_ended else ())]
            listed = ", ".join(map(identifier, columns))
            found[name] = self.connection.execute(
                f"SELECT {listed} FROM {name} WHERE customer_id = ?", [customer_id]
            ).fetchall()
        return found

    def _by_name(self, rows: Mapping[str, Sequence[Any]]) -> dict[str, Feature]:
        names = self.plan.names()
        return {
            name: {
                customer: np.nan if row[place] is None else float(row[place])
                for customer, row in rows.items()
            }
            for place, name in enumerate(names)
        }


def differing(one: Mapping[str, Feature], other: Mapping[str, Feature]) -> tuple[str, str, int] | None:
    """Return the first feature that differs by more than rounding, a customer of whom, and of how many."""
    for name, known in one.items():
        customers = [
            customer
            for customer, value in known.items()
            if not np.isclose(value, other[name].get(customer, np.nan), rtol=1e-9, atol=1e-12, equal_nan=True)
        ]
        if customers:
            return name, customers[0], len(customers)
    return None
