"""What a training came to, and how its bundle gets into the registry."""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from features.configuration import Project
from features.errors import InputError
from features.scratch import scratch_folder
from models.bundle import Bundle
from models.estimator import ForecastEstimator
from training.evaluation import Evaluation
from training.gate import Verdict
from training.record import training_run
from training.registry import CHAMPION, Registry
from training.versions import Version


@dataclass(frozen=True)
class Training:
    """What a training came to.

    Attributes
    ----------
    version
        The registered model.
    verdict
        What it became, and why.
    evaluation
        All models on the held-out origins; null where there is too little for any.
    facts
        What the bundle says of its training; ``notes`` tell where a fit had to be helped.
    """

    version: Version
    verdict: Verdict
    evaluation: Evaluation | None
    facts: dict[str, Any]

    def remarks(self) -> list[str]:
        """Say what the facts tell beside numbers: the grade, the potential, where a fit had to be helped."""
        told = []
        if "grade" in self.facts:
            told.append(f"grade {self.facts['grade']}: {self.facts['grade_reason']}")
        if "potential" in self.facts:
            told.append(f"potential: {self.facts['potential']['remark']}")
        return [*told, *(f"note: {note}" for note in self.facts["notes"])]


@dataclass(frozen=True)
class Result:
    """A trained estimator with what is known of it.

    Attributes
    ----------
    held_out
        The forecasts of its evaluation.
    present
        Features of customers as they are, for pictures of the trees.
    """

    estimator: ForecastEstimator
    bundle: Bundle
    verdict: Verdict
    evaluation: Evaluation | None
    held_out: pd.DataFrame
    present: pd.DataFrame | None = None


def champion_so_far(registry: Registry) -> tuple[Bundle | None, str | None]:
    """Read the champion; where there is one that cannot be read, as of an older format, tell why instead."""
    served = [version for version in registry.versions() if CHAMPION in version.aliases]
    if not served:
        return None, None
    folder = registry.fetch(served[0].version)
    try:
        return Bundle.read(folder), None
    except InputError as error:
        return None, f"cannot be read ({str(error).partition('; ')[0]})"


def register(result: Result, registry: Registry, project: Project, champion: Bundle | None) -> Training:
    """Write the bundle, record its training, and give it the alias that it earned."""
    bundle, verdict, facts = result.bundle, result.verdict, result.bundle.training
    with scratch_folder(project.workspace) as scratch:
        folder = bundle.write(scratch)
        run = training_run(
            project.name,
            result.estimator,
            facts,
            evaluation=result.evaluation,
            held_out=result.held_out,
            present=result.present,
        )
        version = registry.log(run, bundle=folder, digest=bundle.digest)
    if champion is not None and champion.digest == bundle.digest:
        verdict = replace(verdict, alias="champion", reason="it is the same bundle as before")
    else:
        (registry.promote if verdict.alias == CHAMPION else registry.challenge)(version.version)
    return Training(version, verdict, result.evaluation, facts)
