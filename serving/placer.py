"""Where one customer stands, by the rules of the latest run: SQLite evaluates what placed everybody."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from features.parsing import identifier
from models.placement import CLASSES, Placement


class Placer:
    """Rules made ready for one customer at a time.

    Parameters
    ----------
    placement
        The rules, with the cut points of a run.

    Attributes
    ----------
    lost_days
        The silence that few in the shop ever end.
    kinds
        What the columns hold that the conditions read.
    """

    def __init__(self, placement: Placement) -> None:
        self.lost_days = placement.rhythm.lost_days
        self.kinds = placement.policy.kinds
        self._without_potential = placement.without_potential
        rules = placement.place_sql("subject")
        self._reads = [name for name in placement.columns if identifier(name) in rules]
        subject = ", ".join(f"? AS {identifier(name)}" for name in self._reads)
        told = ", ".join(("value_tier", *CLASSES))
        self._query = f"SELECT {told} FROM ({placement.place_sql(f'(SELECT {subject})')})"
        # A thread that follows the runs makes it, and the one that answers uses it.
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)

    def place(self, subject: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of the output table that standing fills, for a customer without a history of it.

        Parameters
        ----------
        subject
            Features, forecast, profile and attributes by name; what is missing, or NaN, is not known.
        """
        values = tuple(subject.get(name) for name in self._reads)
        found = self._connection.execute(self._query, values).fetchone()
        standing = dict(zip(("value_tier", *CLASSES), found, strict=True))
        is_base = standing["is_base_customer"]
        standing["is_base_customer"] = None if is_base is None else bool(is_base)
        if standing["value_tier"] == self._without_potential:
            standing["potential_score"] = None
        return standing
