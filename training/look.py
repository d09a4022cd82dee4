"""A look at the sources before any training: what is wrong with them, and what they advise."""

from dataclasses import dataclass
from datetime import datetime

import duckdb
from rich.table import Table

from features import horizon, quality
from features.batch import end_of_data, workplace
from features.configuration import Configuration
from features.staging import stage


@dataclass(frozen=True)
class Look:
    """What was seen.

    Parameters
    ----------
    tables
        The data-quality report, and, of orders, the advice on the horizon.
    lines
        Sentences to say after them.
    """

    tables: tuple[Table, ...]
    lines: tuple[str, ...]


def look(configuration: Configuration, *, as_of: datetime | None) -> Look:
    """Read the sources; write ``data_quality.json``, and of orders ``horizon.json``, into the workspace.

    Parameters
    ----------
    as_of
        Where the advice on the horizon ends; by default with the data.

    Raises
    ------
    InputError
        A source cannot be read, or nothing in it can be used.
    """
    workspace = configuration.project.workspace
    with workplace(workspace) as connection:
        report = stage(configuration, connection)
        (workspace / "data_quality.json").write_text(report.to_json(), encoding="utf-8")
        table = quality.render(report)
        if configuration.project.setting != "transactional":
            return Look((table,), tuple(_examples(configuration, connection)))
        advice = horizon.horizon_advice(connection, as_of=as_of or end_of_data(connection))
    (workspace / "horizon.json").write_text(advice.to_json(), encoding="utf-8")
    recommended = f"{advice.recommended} days" if advice.recommended else "none, nobody was seen to return"
    told = (
        f"recommended horizon: {recommended}; the reports lie in {workspace}, the rows that cannot be used "
        f"in {workspace / 'quarantine'}"
    )
    return Look((table, horizon.render(advice)), (told,))


def _examples(configuration: Configuration, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Say what there is to learn from where that is no orders."""
    from training import contracts, labelled  # noqa: PLC0415 - seconds that a look at orders need not wait

    if configuration.project.setting == "labelled":
        return labelled.look_over(configuration, connection)
    return contracts.look_over(connection)
