"""The project's file, read whole: what is wrong in any table is told before any work."""

import os
from collections.abc import Iterable
from pathlib import Path

from features.configuration import Configuration, Project, Section
from features.forecast_settings import ForecastSettings
from features.own_sources import OwnSettings
from features.sources import read_sources
from features.tier_settings import TierSettings
from features.treatment_settings import PlanSettings, read_treatments
from serving.settings import ServingSettings

TABLES: dict[str, type[Section]] = {
    "project": Project,
    "features": OwnSettings,
    "forecast": ForecastSettings,
    "tiers": TierSettings,
    "plan": PlanSettings,
    "serving": ServingSettings,
}
"""The tables beside sources and lists, with what reads them."""


def read_configuration(file: Path, overrides: Iterable[str] = ()) -> Configuration:
    """Read a configuration, overrides and the environment applied, and all its tables, needed or not.

    Raises
    ------
    InputError
        A table cannot be read, or holds what is not known.
    """
    configuration = Configuration.read(file, overrides, os.environ)
    for name, model in TABLES.items():
        configuration.section(name, model)
    read_treatments(configuration)
    read_sources(configuration)
    return configuration
