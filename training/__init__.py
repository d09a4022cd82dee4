"""Labels, splits, fitting, evaluation and the registry."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.bundle import Bundle


def load(alias: str | int = "champion", *, configuration: Path | str = "tierwise.toml") -> "Bundle":
    """Load a registered model: all that a notebook needs.

    Parameters
    ----------
    alias
        ``champion``, ``challenger``, ``previous`` or the number of a version.
    configuration
        The project's file.

    Raises
    ------
    InputError
        There is no such model yet, or its files are not what was written.
    """
    from features.configuration import Configuration  # noqa: PLC0415 - a cheap import of the package
    from models.bundle import Bundle  # noqa: PLC0415
    from training.train import registry_of  # noqa: PLC0415

    registry = registry_of(Configuration.read(configuration))
    return Bundle.read(registry.fetch(alias))
