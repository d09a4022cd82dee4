"""Where the public data sets are."""

import argparse
from pathlib import Path

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def data_folder(about: str | None, *, holds: str) -> Path:
    """Read from the command line which folder holds the data sets; without one the program ends."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--data", type=Path, default=BESIDE, help=f"folder of {holds}")
    data: Path = parser.parse_args().data.resolve()
    if not data.is_dir():
        parser.exit(2, f"there is no folder {data}; name that of the data sets with --data\n")
    return data
