"""What serving is told: the ``[serving]`` table of the configuration, and the service's environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from features.configuration import Configuration, Section

SERVED = "TIERWISE_SERVED"
"""The environment variable that tells the service what it serves: JSON of bundle, model_version, store."""
TOKEN = "TIERWISE_TOKEN"  # noqa: S105 - the name of a variable
"""The environment variable with the token that requests must bring."""


class ServingSettings(Section):
    """Where runs are kept, and in which language they are told.

    Parameters
    ----------
    store
        A database url (``postgresql://...`` or ``sqlite:///...``); by default ``store.db`` in the workspace.
    keep_runs
        How many of the latest runs keep their scores; older ones keep their facts only.
    language
        Of the reasons: ``en`` or ``zh``.
    """

    store: Annotated[str, Field(min_length=1)] | None = None
    keep_runs: Annotated[int, Field(ge=1)] = 30
    language: Literal["en", "zh"] = "en"


def store_of(configuration: Configuration) -> Path | str:
    """Return where the store of a project lies."""
    settings = configuration.section("serving", ServingSettings)
    return settings.store or configuration.project.workspace / "store.db"
