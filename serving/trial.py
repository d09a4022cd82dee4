"""A bundle tried on its golden histories, in a process of its own: a damaged tree can crash it."""

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from features.errors import InputError
from features.instants import Cutoff
from models.bundle import REMEDY, Bundle
from models.live_forecaster import LiveForecaster

TOLERANCE = 1e-9
REFUSED = 2
SOURCES = Path(__file__).parents[1]


def try_in_child(folder: Path) -> None:
    """Try a bundle in a process of its own.

    Raises
    ------
    InputError
        It forecasts otherwise than where it was trained, or crashes.
    """
    tried = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "serving.trial", str(folder.absolute())],
        cwd=SOURCES,
        capture_output=True,
        text=True,
        errors="replace",  # a crash may say anything
        check=False,
    )
    if tried.returncode == REFUSED:
        raise InputError(tried.stderr.strip().splitlines()[-1])
    if tried.returncode != 0:
        raise InputError(f"the bundle {folder} breaks when it is tried (code {tried.returncode}); {REMEDY}")


def try_golden_histories(bundle: Bundle, folder: Path) -> None:
    """Forecast every golden history and compare.

    Raises
    ------
    InputError
        There is none, or a forecast differs by more than a relative 1e-9.
    """
    if "golden.json" not in bundle.documents:
        raise InputError(f"the bundle {folder} has no golden histories to be tried on; {REMEDY}")
    live = LiveForecaster(bundle)
    for golden in bundle.golden():
        found = live.forecast(
            golden["rows"], customer_id=golden["customer_id"], cutoff=Cutoff(*golden["cutoff"])
        )
        if not _same(golden["forecast"], found):
            raise InputError(
                f"the bundle {folder} forecasts {golden['customer_id']} otherwise than where it was "
                f"trained ({found} for {golden['forecast']}); {REMEDY}"
            )


def _same(expected: Mapping[str, float | None] | None, found: Mapping[str, float | None] | None) -> bool:
    if expected is None or found is None:
        return expected is found
    pairs = [(value, found[name]) for name, value in expected.items()]
    return all(
        one is other if one is None or other is None else math.isclose(one, other, rel_tol=TOLERANCE)
        for one, other in pairs
    )


def main() -> None:
    """Try the bundle in the folder named on the command line."""
    folder = Path(sys.argv[1])
    try:
        try_golden_histories(Bundle.read(folder), folder)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
