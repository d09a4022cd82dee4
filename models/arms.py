"""Arms: which treatments are open to each customer, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import duckdb
import numpy as np
from numpy.typing import NDArray

from features.errors import InputError
from features.parsing import LIMIT
from models.condition_text import shortened
from models.contact_rules import ARMS
from models.likelihood import Vector
from models.playbooks import Playbook
from models.subjects import TABLE

NO_CHANNEL = -1
"""Of a treatment that is closed."""
_EVERYBODY = (
    f"SELECT customer_id, coalesce(expected_value, 0)::DOUBLE AS value FROM {TABLE} ORDER BY customer_id"
)
_PLACES = f"SELECT customer_id, row_number() OVER (ORDER BY customer_id) - 1 AS place FROM {TABLE}"
_OPEN = (
    "SELECT place, list_position($channels, channel) - 1 AS channel, effect "
    f"FROM {ARMS} JOIN places USING (customer_id) WHERE treatment = $treatment"
)


@dataclass(frozen=True)
class Arms:
    """The treatments of n customers; k is the number of playbooks.

    Parameters
    ----------
    customer_ids
        Of shape (n,), in the order of bytes.
    channels
        All that there are.
    channel
        By customer and treatment the place of the channel in `channels`, of shape (n, k), -1 where closed.
    effect
        The value that is assumed to be added, of shape (n, k), in the project's currency; NaN where closed or
        unknown.
    value
        Expected without a treatment, of shape (n,).
    """

    customer_ids: NDArray[np.object_]
    channels: tuple[str, ...]
    channel: NDArray[np.int16]
    effect: Vector
    value: Vector

    @classmethod
    def read(cls, connection: duckdb.DuckDBPyConnection, playbooks: Sequence[Playbook]) -> Self:
        """Read the table ``arms`` (as of `models.contact_rules.open_arms`) of everybody in ``subjects``.

        Raises
        ------
        InputError
            A treatment is assumed to add more to a customer than any amount that is read.
        """
        everybody = connection.sql(_EVERYBODY).to_arrow_table()
        shape = everybody.num_rows, len(playbooks)
        channels = tuple(dict.fromkeys(name for playbook in playbooks for name in playbook.channels))
        channel, effect = np.full(shape, NO_CHANNEL, dtype=np.int16), np.full(shape, np.nan)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE places AS {_PLACES}")
        for arm, playbook in enumerate(playbooks):
            asked = {"channels": list(channels), "treatment": playbook.name}
            found = connection.sql(_OPEN, params=asked).to_arrow_table()
            places = found["place"].to_numpy()
            channel[places, arm] = found["channel"].to_numpy()
            effect[places, arm] = found["effect"].to_numpy()
            _check_size(effect[:, arm], playbook)
        connection.execute("DROP TABLE places")
        customer_ids = np.asarray(everybody["customer_id"].to_pylist(), dtype=object)
        return cls(customer_ids, channels, channel, effect, everybody["value"].to_numpy())

    @property
    def is_open(self) -> NDArray[np.bool_]:
        """By customer and treatment, of shape (n, k)."""
        return np.asarray(self.channel != NO_CHANNEL)


def _check_size(effect: Vector, playbook: Playbook) -> None:
    beyond = effect[np.abs(effect) > LIMIT]
    if len(beyond):
        raise InputError(
            f"treatments.{playbook.name}.effect = {shortened(playbook.effect.text)!r}: it comes to "
            f"{beyond[0]:.3g} for {len(beyond):,} customers, and no amount is larger than 90 billion; "
            "correct it"
        )
