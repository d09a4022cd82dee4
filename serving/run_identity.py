"""The identity of a run: the same data, `as_of`, bundle, configuration and history give the same run."""

import hashlib
from datetime import datetime

from features.configuration import Configuration
from features.quality import DataQuality
from models.bundle import as_json

IRRELEVANT = ("serving", "treatments", "plan")
"""The tables of the configuration that no score depends on."""


def run_id(
    configuration: Configuration,
    quality: DataQuality,
    *,
    as_of: datetime,
    bundle_digest: str,
    preceding: str | None,
    again: int = 0,
) -> str:
    """Name a run by its day and a digest of all that it depends on.

    Parameters
    ----------
    preceding
        The id of the published run with the latest `as_of` before this one; null for the first.
    again
        How often the same run was published before, and then replaced by another one of its `as_of`.
    """
    tables = {name: table for name, table in configuration.tables.items() if name not in IRRELEVANT}
    tables["project"] = {key: value for key, value in tables.get("project", {}).items() if key != "workspace"}
    facts = {
        "data": quality.digests,
        "as_of": as_of.isoformat(),
        "bundle": bundle_digest,
        "configuration": tables,
        "preceding": preceding,
        **({"again": again} if again else {}),
    }
    return f"{as_of:%Y%m%d}-{hashlib.sha256(as_json(facts).encode()).hexdigest()[:16]}"
