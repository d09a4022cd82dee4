import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

import tierwise
from tests.corner_shop import configuration_text, write_corner_shop

ROOT = Path(__file__).parents[2]
HORIZON_DAYS = 120


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def assert_refused(self, says: str, *, code: int = 2) -> None:
        """It ended with one sentence that names the trouble."""
        assert says in self.err, self
        assert self.err.startswith("tierwise: ")
        assert self.err.count("\n") == 1
        assert (self.code, self.out) == (code, "")


@dataclass(frozen=True)
class CornerShop:
    """A project in a folder."""

    folder: Path

    @property
    def file(self) -> Path:
        """The configuration."""
        return self.folder / "tierwise.toml"

    @property
    def workspace(self) -> Path:
        """Where the project keeps its models and runs."""
        return self.folder / ".tierwise"

    def orders(self) -> pd.DataFrame:
        """Read the order lines as they are written."""
        return pd.read_csv(self.folder / "orders.csv", dtype=str)

    def deliver(self, orders: pd.DataFrame) -> None:
        """Write other order lines in their place."""
        orders.to_csv(self.folder / "orders.csv", index=False)

    def configure(self, change: Callable[[str], str]) -> None:
        """Change the text of the configuration."""
        self.file.write_text(change(self.file.read_text()))

    def published(self) -> list[tuple[object, ...]]:
        """Read all that the store holds of runs and scores."""
        with sqlite3.connect(self.workspace / "store.db") as connection:
            rows = connection.execute("SELECT * FROM runs").fetchall()
            rows += connection.execute("SELECT * FROM scores ORDER BY 1, 2").fetchall()
        connection.close()
        return rows


@pytest.fixture(scope="session")
def end() -> str:
    """The day after the last order of the shop."""
    return "2024-02-05"


@pytest.fixture(scope="session")
def configuration() -> str:
    """The shop's configuration."""
    return configuration_text(horizon_days=HORIZON_DAYS)


@pytest.fixture(scope="session")
def scored_shop(made_once: Callable[..., Path], end: str) -> CornerShop:
    """A small simulated shop with a champion and one published run."""

    def make(folder: Path) -> None:
        file = write_corner_shop(folder, customers=80, days=400, horizon_days=HORIZON_DAYS)
        tierwise.train(file, as_of=end)
        tierwise.score(file, as_of=end)

    return CornerShop(made_once("scored_shop", make))


@pytest.fixture(scope="session")
def young_shop(made_once: Callable[..., Path]) -> CornerShop:
    """The shop's first hundred days, with a champion for thirty: little to train on, enough to judge."""

    def make(folder: Path) -> None:
        tierwise.train(write_corner_shop(folder, customers=80, days=100, horizon_days=30))

    return CornerShop(made_once("young_shop", make))


@pytest.fixture
def shop(scored_shop: CornerShop, tmp_path: Path) -> CornerShop:
    """A copy of the shop to spoil."""
    return CornerShop(shutil.copytree(scored_shop.folder, tmp_path / "shop"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a command in this process."""

    def run(*args: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["tierwise", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            tierwise.main()
        code = ended.value.code or 0
        assert isinstance(code, int)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def run_apart() -> Callable[..., Outcome]:
    """Run a command in a process of its own, after some lines that set its stage."""

    def run(*args: object, before: str = "") -> Outcome:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", f"{before}\nimport tierwise; tierwise.main()", *map(str, args)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run
