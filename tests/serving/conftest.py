import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from features.attributes import Attribute
from features.batch import workplace
from features.configuration import Configuration
from features.contract import Kind
from features.plan import FeaturePlan
from features.staging import stage
from models.bundle import Bundle
from models.standing import quantile_grid
from models.tree_forecaster import TreeForecaster
from serving.scoring import ScoringJob
from serving.store import Store
from tests.serving.desk import Desk
from training.golden import with_golden_histories
from training.history import History
from training.shop import Shop, simulate_shop

PLAN = FeaturePlan(
    horizon_days=90,
    order_columns=("order_id", "product_id", "quantity", "category", "discount"),
    interaction_kinds=("visit", "email_open"),
    feedback_kinds=("complaint",),
    attributes=(Attribute("region", Kind.TEXT, ("north", "south"), fixed=True),),
    knows_joining=True,
    exclude={"product_id": ("POST",)},
)
START = """
import sys
from pathlib import Path
from serving.server import serve
folder = Path(sys.argv[1])
store = folder / "store.db"
serve(folder / "bundle", model_version="7", store=store, workspace=folder, port=int(sys.argv[2]))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store may be made, on each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return str(request.getfixturevalue("new_postgres")())


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store, on each kind of database."""
    with Store.open(url) as opened:
        yield opened


@dataclass(frozen=True)
class ServedShop:
    """A simulated shop with its bundle (in ``bundle/``) and a published run (in ``store.db``)."""

    folder: Path
    shop: Shop
    as_of: datetime

    def history(self, customer_id: str) -> dict[str, Any]:
        """Give what the shop knows of a customer, as a request."""
        frames = {name: getattr(self.shop, name) for name in ("orders", "interactions", "feedback")}
        about = self.shop.customers[self.shop.customers["customer_id"] == customer_id]
        return {
            "as_of": self.as_of.isoformat(),
            "customer": _records(about)[0],
            **{name: _rows_of(customer_id, frame) for name, frame in frames.items()},
        }


def _rows_of(customer_id: str, frame: pd.DataFrame) -> list[dict[str, Any]]:
    return _records(frame[frame["customer_id"] == customer_id].drop(columns="customer_id"))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    flags = frame.assign(**{name: frame[name] == 1 for name in {"is_return"} & {*frame.columns}})
    records: list[dict[str, Any]] = json.loads(
        flags.to_json(orient="records", date_format="iso", double_precision=15)
    )
    return records


@pytest.fixture(scope="session")
def new_served_shop(made_once: Callable[..., Path]) -> Callable[[], ServedShop]:
    """Give a copy of a small shop, its model, and its scores of the last day."""
    shop = simulate_shop(customers=120, days=500, seed=3)
    as_of = shop.end.to_pydatetime()

    def make(folder: Path) -> None:
        shop.write(folder)
        configuration = Configuration.read(folder / "tierwise.toml", environ={})
        bundle = _trained(configuration, as_of)
        (folder / "bundle").mkdir()
        bundle.write(folder / "bundle")
        with Store.open(folder / "store.db") as store:
            ScoringJob(configuration, bundle, "7", store).run(as_of=as_of)

    return lambda: ServedShop(made_once("served_shop", make), shop, as_of)


@pytest.fixture(scope="session")
def served_shop(new_served_shop: Callable[[], ServedShop]) -> ServedShop:
    """A small shop, its model, and its scores of the last day."""
    return new_served_shop()


@pytest.fixture(scope="session")
def desk(new_served_shop: Callable[[], ServedShop]) -> Iterator[Desk]:
    """A desk for all tests, of which each makes plans of its own."""
    served = new_served_shop()
    with closing(Desk(served.folder, served.as_of)) as made:
        yield made


@pytest.fixture
def own_desk(new_served_shop: Callable[[], ServedShop]) -> Iterator[Desk]:
    """A desk of the test's own, at which it may score other days."""
    served = new_served_shop()
    with closing(Desk(served.folder, served.as_of)) as made:
        yield made


def _trained(configuration: Configuration, as_of: datetime) -> Bundle:
    project = configuration.project
    with workplace(project.workspace) as connection:
        stage(configuration, connection)
        estimator = TreeForecaster(rounds=8, leaves=4)
        history = History(connection, PLAN, project.time_zone, days=estimator.knots)
        cutoffs = [as_of - timedelta(days=back) for back in (180, 90, 0)]
        frame = pd.concat([history.snapshot(each) for each in cutoffs], ignore_index=True)
        labels = [history.labels(each, known_by=as_of) for each in cutoffs]
        estimator.fit(frame, pd.concat(labels, ignore_index=True))
    training = {
        "setting": project.setting,
        "currency": project.currency,
        "time_zone": project.time_zone,
        "horizon_days": 90,
        "clv_days": 365,
        "discount_rate": 0.10,
        "was_judged": True,
        "churn_risk_grid": quantile_grid(estimator.predict(frame)["churn_risk"].to_numpy()),
    }
    return with_golden_histories(Bundle.of(estimator, PLAN, training=training), time_zone="UTC")


@pytest.fixture(scope="session")
def service(served_shop: ServedShop) -> Iterator[httpx.Client]:
    """A real service in processes of its own; it must end cleanly."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "TIERWISE_TOKEN"}
    process = subprocess.Popen(  # noqa: S603 - our own service
        [sys.executable, "-c", START, str(served_shop.folder), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "Service tierwise initialized" in line:
            break
    else:
        pytest.fail("".join(said))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield client
    process.terminate()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
