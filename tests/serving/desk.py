from datetime import datetime
from pathlib import Path

import pandas as pd

from features.configuration import Configuration
from models.bundle import Bundle
from serving.plan import PlanJob, planned_run
from serving.plans import Plan
from serving.scoring import ScoringJob
from serving.store import Store
from training.effects import measure

CALL = """
[[treatments]]
name = "call"
purpose = "care"
channels = ["phone"]
when = "orders_all >= 2"
cost = 1.0
effect = "0.1 * expected_value"
text = "Call, and listen."
"""
MAIL = """
[[treatments]]
name = "mail"
purpose = "grow"
channels = ["email"]
when = "orders_all >= 1"
cost = 0.1
effect = "0.01 * expected_value + 0.2"
needs_product = true
priority = 2
text = "Write."
"""
Planned = tuple[Plan, pd.DataFrame]


class Desk:
    """A small scored shop for which plans are made."""

    def __init__(self, folder: Path, as_of: datetime) -> None:
        self.folder, self.as_of = folder, as_of
        self.bundle = Bundle.read(folder / "bundle")
        self._written = (folder / "tierwise.toml").read_text()
        self.store = Store.open(folder / "store.db")

    def close(self) -> None:
        self.store.close()

    def score(self, as_of: datetime) -> None:
        ScoringJob(self.configuration(), self.bundle, "7", self.store).run(as_of=as_of)

    def configuration(self, *settings: str) -> Configuration:
        file = self.folder / "tierwise.toml"
        file.write_text(self._written + "".join(settings))
        return Configuration.read(file, environ={})

    def plan(self, *settings: str) -> Planned:
        run = planned_run(self.store, None)
        done = PlanJob(self.configuration(*settings), self.bundle, self.store, run, measure).make()
        return done, self.rows(done)

    def rows(self, plan: Plan) -> pd.DataFrame:
        found: pd.DataFrame = self.store.plans.rows(plan.plan_id).to_pandas()
        return found.set_index("customer_id")
