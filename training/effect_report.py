"""What there is to say about the effects of treatments: figures, advice, and how far to trust them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import pandas as pd

from features.assignments import Log
from features.scratch import whole_file
from models.effects import EVERYBODY
from models.policies import COLUMNS
from models.sample_size import Advice

FILE = "effects.json"
TEXTS = ("treatment", "by", "group", "reason")
"""Columns of the table of effects that hold no numbers."""
PLAN_TEXTS = ("rule", "treatment", "run_id", "reason")
"""Columns of the table of plans that hold no numbers."""
FALSE_ALARMS = {1: 0.05, 2: 0.083, 3: 0.107, 4: 0.126, 5: 0.142, 10: 0.193, 20: 0.248}
"""The chance that one of so many looks at growing data calls nothing an effect (Armitage et al. 1969)."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How many assignments were over when effects were looked at, by treatment."""

    as_of: str
    over: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class EffectReport:
    """The effects of treatments, as measured once.

    Attributes
    ----------
    as_of
        Until when records were complete.
    horizon_days, currency, value
        What an outcome is: of how many days, in what, and of what basis.
    log
        What the log holds, and what was left out of it.
    table
        As of `models.effects.effect_table`.
    plans
        As of `models.policies.policy_table`.
    waiting, assumed, overtaken
        Assignments by treatment: not over yet; of unknown propensity; held out and then treated within the
        horizon after all.
    share
        Of the customers that were followed; a large log is drawn from.
    looks
        At effects so far, this one last; one that found no new outcomes is none.
    """

    as_of: datetime
    horizon_days: int
    currency: str
    value: str
    log: Log
    table: pd.DataFrame
    plans: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COLUMNS)))
    waiting: Mapping[str, int] = field(default_factory=dict)
    assumed: Mapping[str, int] = field(default_factory=dict)
    overtaken: Mapping[str, int] = field(default_factory=dict)
    share: float = 1.0
    looks: Sequence[Look] = ()

    @property
    def averages(self) -> pd.DataFrame:
        """The rows of whole treatments."""
        return self.table[self.table["by"] == EVERYBODY]

    @property
    def groups(self) -> pd.DataFrame:
        """The rows of groups that something is known of."""
        return self.table[(self.table["by"] != EVERYBODY) & self.table["reason"].isna()]

    def advice(self, treatment: str) -> Advice | None:
        """Advise on the next round of a treatment; null where too little is known."""
        row = self.averages.set_index("treatment").loc[treatment].to_dict()
        return Advice.of(
            net=float(row["net"]),
            error=float(row["net_se"]),
            cost=float(row["cost"]),
            treated=int(row["treated"]),
            held=int(row["held_out"]),
        )

    def looks_at(self, treatment: str) -> int:
        """Count the times that a treatment was looked at with new outcomes."""
        counts = [look.over[treatment] for look in self.looks if look.over.get(treatment)]
        return len(set(counts))

    def after(self, file: Path) -> Self:
        """Return the report with the looks before it, as the last report left them."""
        try:
            before = [Look(**look) for look in json.loads(file.read_text("utf-8"))["looks"]]
        except (OSError, ValueError, KeyError, TypeError):
            before = []
        over = (self.averages["treated"] + self.averages["held_out"]).astype(int)
        look = Look(
            as_of=self.as_of.isoformat(),
            over=dict(zip(self.averages["treatment"], over.tolist(), strict=True)),
        )
        looks = before if before and before[-1].over == look.over else [*before, look]
        return type(self)(**{**self.__dict__, "looks": looks})

    def write(self, file: Path) -> None:
        """Write the report as JSON, whole or not at all."""
        plain = {**self.__dict__, "as_of": self.as_of.isoformat(), "log": asdict(self.log)}
        plain["looks"] = [asdict(look) for look in self.looks]
        for name in ("table", "plans"):
            frame = getattr(self, name)
            plain[name] = frame.astype(object).where(frame.notna(), None).to_dict("records")
        with whole_file(file) as unfinished:
            unfinished.write_text(json.dumps(plain, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> "EffectReport | None":
        """Read the report that was written last; null without one."""
        if not file.exists():
            return None
        plain: dict[str, Any] = json.loads(file.read_text("utf-8"))
        plain["as_of"] = datetime.fromisoformat(plain["as_of"])
        plain["log"] = Log(**plain["log"])
        plain["table"] = _frame(plain["table"], TEXTS)
        plain["plans"] = _frame(plain.get("plans", []), PLAN_TEXTS).reindex(columns=list(COLUMNS))
        plain["looks"] = [Look(**look) for look in plain["looks"]]
        return cls(**plain)


def _frame(records: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame(records)
    frame = frame.astype({name: object if name in texts else float for name in frame.columns})
    return frame.where(frame.notna() | ~frame.columns.isin(texts), None)


def false_alarms(looks: int) -> float:
    """Return the chance that one of so many looks calls nothing an effect."""
    return FALSE_ALARMS[max(known for known in FALSE_ALARMS if known <= max(looks, 1))]
