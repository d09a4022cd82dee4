"""The bundle: a trained model with all that is needed to use it, as a folder of plain data.

This is the one place where models touch files, because training writes what serving reads.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from features.cut_point import cut_query
from features.errors import InputError
from features.plan import FeaturePlan
from models.baselines import OwnRate, RecencyRule
from models.contract_baselines import LifeTable, OverallHazard, ShiftedBetaGeometric
from models.contract_forecaster import ContractForecaster
from models.estimator import ForecastEstimator
from models.labelled_forecaster import LabelledForecaster
from models.potential import TREES, Potential
from models.purchase_forecaster import PurchaseForecaster
from models.transitions import Transitions
from models.tree_forecaster import TreeForecaster

FORMAT_VERSION = 4
MANIFEST = "manifest.json"
PROFILE = "profile"
POTENTIAL, CUT = "potential.json", "sql/duckdb/cut.sql"
TRANSITIONS = "transitions.json"
REMEDY = "train again, or promote another version"
KINDS: dict[str, type[ForecastEstimator]] = {
    kind.kind: kind
    for kind in (
        *(TreeForecaster, PurchaseForecaster, OwnRate, RecencyRule),
        *(ContractForecaster, ShiftedBetaGeometric, LifeTable, OverallHazard),
        LabelledForecaster,
    )
}


@dataclass(frozen=True)
class Bundle:
    """Text documents by file name; two bundles are the same exactly if their digests are.

    ``plan.json`` and ``sql/<engine>/<step>.sql`` make the features, ``profile.sql`` beside them what else a
    standing is told from; ``forecaster.json`` and ``trees/<name>.txt`` make the forecast, ``potential.json``,
    ``cut.sql`` and trees of their own the potential, ``transitions.json`` moves between
    tiers; ``training.json`` says what it was trained on (with the
    quantiles that live requests look up) and ``golden.json`` holds synthetic histories with their forecasts.
    """

    documents: Mapping[str, str]

    @classmethod
    def of(
        cls,
        estimator: ForecastEstimator,
        plan: FeaturePlan,
        *,
        training: Mapping[str, Any],
        potential: Potential | None = None,
    ) -> "Bundle":
        """Bundle a fitted estimator with its features, the facts of its training, and a potential."""
        state = estimator.state()
        trees = state.pop("boosters", {})
        forecaster = {"kind": estimator.kind, "settings": estimator.get_params(), "state": state}
        sql = {
            f"sql/{engine}/{step}.sql": text
            for engine, steps in plan.sql().items()
            for step, text in {**steps, PROFILE: plan.profile(engine)}.items()
        }
        return cls(
            {
                "plan.json": as_json(plan.to_json()),
                "features.json": as_json({"names": plan.names(), "steps": list(plan.sql()["duckdb"])}),
                "forecaster.json": as_json(forecaster),
                "training.json": as_json(training),
                **sql,
                **_tree_files(trees),
                **({} if potential is None else _potential_files(potential, plan)),
            }
        )

    def with_document(self, name: str, content: object) -> "Bundle":
        """Return the bundle with one more JSON document."""
        return Bundle({**self.documents, name: as_json(content)})

    @cached_property
    def manifest(self) -> str:
        """The text of the manifest: the format and a sha256 of every file."""
        files = {name: _sha256(text.encode()) for name, text in sorted(self.documents.items())}
        return as_json({"format_version": FORMAT_VERSION, "files": files})

    @cached_property
    def digest(self) -> str:
        """The sha256 of the manifest."""
        return _sha256(self.manifest.encode())

    @cached_property
    def training(self) -> dict[str, Any]:
        """The facts of the training: `as_of`, setting, horizon, currency, quantiles and the like."""
        return self._json("training.json")

    @cached_property
    def feature_names(self) -> list[str]:
        """The feature columns in order."""
        return list(self._json("features.json")["names"])

    def plan(self) -> FeaturePlan:
        """Restore the plan of the features."""
        return FeaturePlan.from_json(self._json("plan.json"))

    def steps(self, engine: str) -> dict[str, str]:
        """Return the SQL of an engine by step, in order."""
        steps = self._json("features.json")["steps"]
        return {step: self.documents[f"sql/{engine}/{step}.sql"] for step in steps}

    def profile(self, engine: str) -> str:
        """Return the SQL of an engine for what a standing is told from beside the features."""
        return self.documents[f"sql/{engine}/{PROFILE}.sql"]

    def golden(self) -> list[dict[str, Any]]:
        """Return the synthetic histories with their forecasts."""
        return list(self._json("golden.json")["histories"])

    def estimator(self) -> ForecastEstimator:
        """Restore the fitted estimator."""
        forecaster = self._json("forecaster.json")
        trees = {name: text for name, text in self._trees().items() if name not in TREES}
        state = forecaster["state"] | ({"boosters": trees} if trees else {})
        return KINDS[forecaster["kind"]](**forecaster["settings"]).restore(state)

    def potential(self) -> Potential | None:
        """Restore the potential; null in settings without one."""
        if not self.has_potential:
            return None
        trees = {name: text for name, text in self._trees().items() if name in TREES}
        return Potential.restore(self._json(POTENTIAL) | {"boosters": trees})

    def transitions(self) -> Transitions | None:
        """Restore the chances of moves between tiers; null where too little was known for any."""
        return Transitions.restore(self._json(TRANSITIONS)) if TRANSITIONS in self.documents else None

    @property
    def has_potential(self) -> bool:
        """Whether there is a potential."""
        return POTENTIAL in self.documents

    @property
    def cut_query(self) -> str:
        """The SQL of the potential's cut point, for `features.cut_point.cut_point`."""
        return self.documents[CUT]

    def _trees(self) -> dict[str, str]:
        return {Path(name).stem: text for name, text in self.documents.items() if name.startswith("trees/")}

    def write(self, folder: Path) -> Path:
        """Write the documents and the manifest into an empty folder, the manifest last."""
        for name, text in self.documents.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
        (folder / MANIFEST).write_bytes(self.manifest.encode())
        return folder

    @classmethod
    def read(cls, folder: Path) -> "Bundle":
        """Read a folder; nothing in it is executed.

        Raises
        ------
        InputError
            No manifest, a format that this version does not know, a file that is missing, or whose
            bytes are not those that were written.
        """
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            version, files = manifest["format_version"], dict(manifest["files"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{folder} is no bundle: its {MANIFEST} cannot be read ({type(error).__name__}); {REMEDY}"
            ) from None
        if version != FORMAT_VERSION:
            raise InputError(
                f"the bundle {folder} has format_version {version!r}, and this version reads "
                f"{FORMAT_VERSION}; use the version that wrote it, or train again"
            )
        return cls({name: _verified(folder / name, digest) for name, digest in files.items()})

    def _json(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.documents[name])
        return content


def as_json(content: object) -> str:
    """Write plain data so that the same data gives the same text; NaN is refused."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=True) + "\n"


def _potential_files(potential: Potential, plan: FeaturePlan) -> dict[str, str]:
    state = potential.state()
    trees = _tree_files(state.pop("boosters"))
    return {POTENTIAL: as_json(state), CUT: cut_query(plan), **trees}


def _tree_files(trees: Mapping[str, str]) -> dict[str, str]:
    return {f"trees/{name}.txt": text for name, text in trees.items()}


def _verified(file: Path, digest: str) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"the bundle's file {file} cannot be read ({error.strerror}); {REMEDY}") from None
    if _sha256(content) != digest:
        raise InputError(
            f"the bundle's file {file} is not what was written (its sha256 differs from the manifest's); "
            f"restore it, {REMEDY}"
        )
    return content.decode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
