"""The registry: which bundles were trained, how good they were, and which of them is in use."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from features.errors import InputError
from features.scratch import scratch_folder
from training.tracking import Tracking
from training.versions import TrainingRun, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"

_BUNDLE = "bundle"


class Registry:
    """The bundles of one project, kept by MLflow.

    Parameters
    ----------
    tracking
        The way to MLflow.
    project
        The name of the project; its model bears it.
    workspace
        The folder for files of runs and for bundles fetched from a server.
    """

    def __init__(self, tracking: Tracking, project: str, workspace: Path) -> None:
        self._tracking = tracking
        self._workspace = workspace.absolute()
        # MLflow refuses some characters in names, and cannot search for quotes.
        self._model = re.sub(r"[^\w .-]", "-", project).strip(" .") or "shop"
        self._filter = f"name = '{self._model}'"

    @classmethod
    def open(
        cls, workspace: Path, *, project: str, tracking_uri: str | None = None, wait_seconds: float = 60.0
    ) -> Self:
        """Open the registry of a project; nothing is read, written or imported before it is needed.

        Parameters
        ----------
        workspace
            The folder of ``mlflow.db`` and ``artifacts``; it may be moved.
        project
            The name of the project.
        tracking_uri
            Any MLflow server or database instead of ``mlflow.db``.
        wait_seconds
            How long to wait for another process that registers.
        """
        return cls(Tracking(workspace, tracking_uri, wait_seconds=wait_seconds), project, workspace)

    def log(self, training: TrainingRun, *, bundle: Path, digest: str) -> Version:
        """Record a training with its bundle, and register the bundle as a new version without alias.

        A digest that is registered already changes nothing: its version is returned. A process that
        dies on the way leaves a run without version, and the registry as it was.

        Raises
        ------
        InputError
            The registry cannot be written to.
        """
        with self._tracking.writing() as client:
            known = {found.tags["digest"]: found.version for found in self._registered(client)}
            if digest in known:
                return self._find(client, known[digest])
            experiment_id = self._experiment(client)
            self._give_up_abandoned_runs(client, experiment_id)
            run = client.create_run(experiment_id, run_name=training.name, tags={"digest": digest}).info
            training.record(client, run.run_id)
            client.log_artifacts(run.run_id, str(bundle), _BUNDLE)
            client.update_run(run.run_id, status="FINISHED")
            if not client.search_registered_models(self._filter):
                client.create_registered_model(self._model)
            source = f"{run.artifact_uri}/{_BUNDLE}"
            made = client.create_model_version(self._model, source, run.run_id, tags=training.tags(digest))
            return self._find(client, made.version)

    def record(self, done: TrainingRun) -> str:
        """Record what has no bundle, as a backtest; return the id of its run.

        Raises
        ------
        InputError
            The registry cannot be written to.
        """
        with self._tracking.writing() as client:
            run = client.create_run(self._experiment(client), run_name=done.name, tags={"kind": done.kind})
            done.record(client, run.info.run_id)
            client.update_run(run.info.run_id, status="FINISHED")
            return str(run.info.run_id)

    def versions(self) -> list[Version]:
        """Return all versions, the newest first; none before the first training.

        Raises
        ------
        InputError
            The registry cannot be read.
        """
        if self._tracking.is_empty:
            return []
        with self._tracking.reading() as client:
            aliases = self._aliases(client)
            found = [Version.read(entry, aliases) for entry in self._registered(client)]
            return sorted(found, key=lambda version: version.version, reverse=True)

    def find(self, alias_or_version: str | int) -> Version:
        """Return a version by its alias or number.

        Raises
        ------
        InputError
            There is none, or the registry cannot be read.
        """
        self._must_be_trained()
        with self._tracking.reading() as client:
            return self._find(client, alias_or_version)

    def fetch(self, alias_or_version: str | int) -> Path:
        """Return a folder with the bundle of a version: its own where it is at hand, else a copy.

        Bundles of a server are downloaded once, to ``bundles/<digest>`` in the workspace.

        Raises
        ------
        InputError
            There is no such version, its files are gone, or the registry cannot be read.
        """
        self._must_be_trained()
        with self._tracking.reading() as client:
            version = self._find(client, alias_or_version)
            source = client.get_model_version_download_uri(self._model, str(version.version))
            if urlsplit(source).scheme in {"", "file"}:
                return self._at_hand(version, source)
            return self._downloaded(client, version)

    def text(self, version: Version, name: str) -> str | None:
        """Return a text that the training of a version left; null where there is none of that name.

        Raises
        ------
        InputError
            The registry cannot be read.
        """
        with self._tracking.reading() as client, scratch_folder(self._workspace) as scratch:
            path = f"texts/{name}"
            if path not in {file.path for file in client.list_artifacts(version.run_id, "texts")}:
                return None
            copy = client.download_artifacts(version.run_id, path, str(scratch))
            return Path(copy).read_text("utf-8")

    def promote(self, version: str | int) -> Version:
        """Put a version in use: it becomes the champion, and the champion until now becomes the previous one.

        Promoting the champion changes nothing.

        Raises
        ------
        InputError
            There is no such version, or the registry cannot be written to.
        """
        self._must_be_trained()
        with self._tracking.writing() as client:
            return self._put_in_use(client, self._find(client, version))

    def challenge(self, version: str | int) -> Version:
        """Make a version the challenger; the champion cannot be its own, and stays what it is.

        Raises
        ------
        InputError
            There is no such version, or the registry cannot be written to.
        """
        self._must_be_trained()
        with self._tracking.writing() as client:
            chosen = self._find(client, version)
            if CHAMPION not in chosen.aliases:
                self._name(client, CHALLENGER, chosen.version)
            return self._find(client, chosen.version)

    def rollback(self) -> Version:
        """Put the previous champion in use again; the champion until now becomes the previous one.

        Raises
        ------
        InputError
            There is no previous champion, or the registry cannot be written to.
        """
        self._must_be_trained()
        with self._tracking.writing() as client:
            aliases = self._aliases(client)
            before, now = aliases.get(PREVIOUS), aliases.get(CHAMPION)
            if before is None or now is None or before == now:
                raise InputError(
                    f"project '{self._model}' has no previous champion to return to; "
                    "put a version in use with tierwise models promote"
                )
            return self._put_in_use(client, self._find(client, before))

    def _must_be_trained(self) -> None:
        if self._tracking.is_empty:
            raise self._untrained()

    def _untrained(self) -> InputError:
        return InputError(
            f"project '{self._model}' has no model yet in '{self._tracking.name}'; "
            "train one with tierwise train"
        )

    def _put_in_use(self, client: "MlflowClient", chosen: Version) -> Version:
        now = self._aliases(client).get(CHAMPION)
        if now is not None and now != chosen.version:
            self._name(client, PREVIOUS, now)
        self._name(client, CHAMPION, chosen.version)
        if CHALLENGER in chosen.aliases:
            client.delete_registered_model_alias(self._model, CHALLENGER)
        return self._find(client, CHAMPION)

    def _name(self, client: "MlflowClient", alias: str, version: int) -> None:
        client.set_registered_model_alias(self._model, alias, str(version))

    def _aliases(self, client: "MlflowClient") -> dict[str, int]:
        models = client.search_registered_models(self._filter)
        return {alias: int(number) for model in models for alias, number in model.aliases.items()}

    def _registered(self, client: "MlflowClient") -> list["ModelVersion"]:
        return [found for found in client.search_model_versions(self._filter) if "digest" in found.tags]

    def _find(self, client: "MlflowClient", alias_or_version: str | int) -> Version:
        aliases = self._aliases(client)
        wanted = str(aliases.get(str(alias_or_version), alias_or_version))
        registered = {str(found.version): found for found in self._registered(client)}
        if not registered:
            raise self._untrained()
        if wanted not in registered:
            names = ", ".join(f"{alias} ({number})" for alias, number in sorted(aliases.items()))
            raise InputError(
                f"project '{self._model}' has no model '{alias_or_version}'; name one of the versions "
                f"{', '.join(sorted(registered, key=int))}, or an alias: {names or 'none is given yet'}"
            )
        return Version.read(registered[wanted], aliases)

    def _experiment(self, client: "MlflowClient") -> str:
        """Find or make the experiment; one that was made before the workspace moved points elsewhere."""
        home, name = self._tracking.artifacts, self._model
        found = client.get_experiment_by_name(name)
        if home and found and found.artifact_location != str(home):
            name = f"{name} in {self._workspace}"
            found = client.get_experiment_by_name(name)
        if found:
            return str(found.experiment_id)
        return str(client.create_experiment(name, str(home) if home else None))

    def _give_up_abandoned_runs(self, client: "MlflowClient", experiment_id: str) -> None:
        """End the runs of processes that died: in a workspace only one registers at a time."""
        if self._tracking.is_local:
            running = "attributes.status = 'RUNNING' and tags.digest != ''"
            for run in client.search_runs([experiment_id], running):
                client.update_run(run.info.run_id, status="KILLED")

    def _at_hand(self, version: Version, source: str) -> Path:
        parts = urlsplit(source)
        registered = Path(unquote(parts.path) if parts.scheme else source)
        moved = self._workspace / "artifacts" / version.run_id / "artifacts" / _BUNDLE
        for folder in (moved, registered):
            if folder.is_dir():
                return folder
        raise InputError(
            f"the files of version {version.version} of project '{self._model}' are gone from "
            f"'{registered}'; restore them from a copy, or promote another version"
        )

    def _downloaded(self, client: "MlflowClient", version: Version) -> Path:
        folder = self._workspace / "bundles" / version.digest
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with scratch_folder(self._workspace) as unfinished:
                copy = Path(client.download_artifacts(version.run_id, _BUNDLE, str(unfinished)))
                try:
                    copy.rename(folder)
                except OSError:
                    if not folder.is_dir():  # else another process was first
                        raise
        return folder
