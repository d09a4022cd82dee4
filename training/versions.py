"""What a training tells about itself, and what the registry remembers of it."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from rich.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_BATCH = 100
"""Parameters that MLflow takes at once."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """What one training tells about itself.

    Parameters
    ----------
    name
        How people call it.
    kind
        The kind of its forecaster.
    as_of
        Nothing later was known to it; aware.
    params
        What it was told: configuration and seed.
    metrics
        How good it was on held-out origins.
    figures, texts
        Plots and tables by file name, with its ending (``calibration.png``, ``evaluation.md``).
    """

    name: str
    kind: str
    as_of: datetime
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, "Figure"] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def tags(self, digest: str) -> dict[str, str]:
        """Return what finds a version again without looking into its run."""
        return {
            "digest": digest,
            "kind": self.kind,
            "as_of": self.as_of.isoformat(),
            "metrics": json.dumps({name: float(value) for name, value in self.metrics.items()}),
        }

    def record(self, client: "MlflowClient", run_id: str) -> None:
        """Write parameters, metrics, figures and texts to a run."""
        from mlflow.entities import Metric, Param  # noqa: PLC0415 - it takes seconds

        now = time.time_ns() // 1_000_000
        client.log_batch(run_id, metrics=[Metric(name, float(v), now, 0) for name, v in self.metrics.items()])
        params = [Param(name, str(value)) for name, value in self.params.items()]
        for start in range(0, len(params), _BATCH):
            client.log_batch(run_id, params=params[start : start + _BATCH])
        for name, figure in self.figures.items():
            client.log_figure(run_id, figure, f"figures/{name}")
        for name, text in self.texts.items():
            client.log_text(run_id, text, f"texts/{name}")


@dataclass(frozen=True, kw_only=True)
class Version:
    """One registered bundle.

    Parameters
    ----------
    version
        Its number, counted from 1.
    digest
        What its bundle is: two versions with one digest do not exist.
    kind, as_of, metrics
        As its training told them.
    aliases
        Of ``champion``, ``challenger`` and ``previous`` those that it bears.
    created
        When it was registered, UTC.
    run_id
        Its run in MLflow.
    """

    version: int
    digest: str
    kind: str
    as_of: datetime
    aliases: tuple[str, ...]
    created: datetime
    metrics: Mapping[str, float]
    run_id: str

    @classmethod
    def read(cls, entry: "ModelVersion", aliases: Mapping[str, int]) -> Self:
        """Read a version from MLflow's record of it."""
        number = int(entry.version)
        return cls(
            version=number,
            digest=entry.tags["digest"],
            kind=entry.tags["kind"],
            as_of=datetime.fromisoformat(entry.tags["as_of"]),
            aliases=tuple(sorted(alias for alias, owner in aliases.items() if owner == number)),
            created=datetime.fromtimestamp(entry.creation_timestamp / 1000, tz=UTC),
            metrics=json.loads(entry.tags["metrics"]),
            run_id=str(entry.run_id),
        )


def render(versions: Sequence[Version]) -> Table:
    """Lay registered versions out for a terminal, newest first."""
    titles = ("version", "model", "as_of", "alias", "AUC", "log loss", "Gini", "bundle")
    table = Table(*titles, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
        column.no_wrap = column.header not in {"model", "alias"}
    for version in versions:
        measures = (version.metrics.get(name) for name in ("auc", "log_loss", "gini"))
        shown = ("" if value is None else f"{value:.3f}" for value in measures)
        table.add_row(
            str(version.version),
            version.kind,
            f"{version.as_of:%Y-%m-%d}",
            ", ".join(version.aliases),
            *shown,
            version.digest[:12],
        )
    return table
