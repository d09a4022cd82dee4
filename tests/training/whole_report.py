import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any

import numpy as np
import pandas as pd

from features.assignments import Log
from features.quality import Counts, DataQuality, Finding
from models.effects import COLUMNS
from training.effect_report import EffectReport, Look
from training.report import Moves, Plan, Report

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
TIERS = ("Key <accounts> & co", "重要客户", "low")
MARKUP = "<img src=x onerror=alert(1)>"
STEPS = [("prospect", "first_order"), ("first_order", "repeat"), ("lapsing", "lost")]


def customers(number: int = 200) -> pd.DataFrame:
    """As many customers, over all tiers and stages, at a risk from 0 to 1."""
    ids = np.arange(number)
    return pd.DataFrame(
        {
            "customer_id": [f"{MARKUP}{each}" for each in ids],
            "value_tier": np.array(TIERS)[ids % 3],
            "lifecycle_stage": np.array(["established", "lapsing", "lost", "first_time"])[ids % 4],
            "churn_risk": ids / number,
            "expected_value": 10.0 + ids % 50,
            "reasons": '{"churn_risk": [["recency_days", 100.0, 0.5]]}',
        }
    )


def moves() -> Moves:
    names = [*sorted(TIERS)]
    counts = pd.DataFrame(np.arange(16.0).reshape(4, 4), [*names, "(new)"], [*names, "(gone)"])
    expected = pd.DataFrame(np.full((3, 3), 1 / 3), TIERS, TIERS)
    return Moves(counts=counts, since=AS_OF - timedelta(days=30), until=AS_OF, expected=expected)


def funnel() -> pd.DataFrame:
    rows = [(*step, cohort, 40, 10) for step in STEPS for cohort in ("2023-01", "2023-02", "all")]
    frame = pd.DataFrame(rows, columns=["stage", "next_stage", "cohort", "customers", "reached"])
    return frame.assign(share=0.25, low=0.14, high=0.40)


def retention(cohorts: int = 20) -> pd.DataFrame:
    rows = [(f"2023-{n:02d}", p, 30, 6, 0.2) for n in range(cohorts) for p in range(1, cohorts - n + 1)]
    return pd.DataFrame(rows, columns=["cohort", "periods", "customers", "ordered", "share"])


def effect() -> pd.DataFrame:
    rows = [
        (tier, measure, value, value / 2, np.nan, AS_OF, AS_OF - timedelta(days=7), None)
        for tier in TIERS
        for measure, value in (("customers", 1200.0), ("repurchase_rate", 0.5), ("margin", np.nan))
    ]
    columns = ["tier", "measure", "value", "run_before", "year_before"]
    return pd.DataFrame(rows, columns=[*columns, "as_of", "run_before_as_of", "year_before_as_of"])


def treatments() -> EffectReport:
    """Three treatments: one of which nothing is known, one that paid, one that did not, and a tier of it."""
    known = ["treated", "held_out", "increment", "increment_low", "increment_high", "cost", "net", "net_low"]
    rows = [
        ("call", "all", "all", 40, 0, *[np.nan] * 10, "nobody_held_out"),
        (MARKUP, "all", "all", 900, 100, 9.0, 7.0, 11.0, 4.0, 5.0, 3.0, 7.0, 0.001, 0.002, 1.0, None),
        ("care", "all", "all", 900, 100, 1.0, -1.0, 3.0, 4.0, -3.0, -5.0, -1.0, 0.3, 0.3, 1.0, None),
        ("care", "value_tier", TIERS[0], 90, 50, 1.0, -1.0, 3.0, 4.0, -3.0, -5.0, -1.0, 0.3, 0.6, 4.0, None),
    ]
    columns = ["treatment", "by", "group", *known, "net_high", "p_value", "p_holm", "net_se", "reason"]
    table = pd.DataFrame(rows, columns=columns).reindex(columns=["treatment", "by", "group", *COLUMNS])
    return EffectReport(
        as_of=AS_OF,
        horizon_days=90,
        currency="EUR",
        value="revenue",
        log=Log(2190, 2040, 3, 0, 0, 1),
        table=table,
        waiting={"care": 150},
        assumed={"call": 40},
        overtaken={"care": 7},
        looks=[Look(as_of="2024-05-01", over={"care": 500}), Look(as_of="2024-06-01", over={"care": 1000})],
    )


def fairness() -> pd.DataFrame:
    groups = [
        ("women", 400, 0.3, np.nan, False),
        ("men", 380, 0.1, 0.33, True),
        (MARKUP, 20, 0.2, 0.6, False),
    ]
    rows = [("gender", tier, *group) for tier in (TIERS[0], TIERS[-1]) for group in groups]
    frame = pd.DataFrame(rows, columns=["attribute", "tier", "group", "customers", "rate", "ratio", "alert"])
    limits = {"low": frame["rate"] - 0.05, "high": frame["rate"] + 0.05}
    ratios = {"ratio_low": frame["ratio"] - 0.1, "ratio_high": frame["ratio"] + 0.1}
    return frame.assign(favoured="women", **limits, **ratios)


def lost() -> pd.DataFrame:
    rows = [("x", "lost", date(2023, 1, 2), 7, 900.0, 1, "service", "high", 450.0, 0.1, 2.0, None)]
    rows += [("y", "lost", date(2023, 1, 3), 1, 90.0, 0, "natural_end", "low", 45.0, 0.5, 1.0, "visit")]
    rows += [("z", "won_back", date(2024, 5, 30), 2, 20.0, 0, "unknown", None, 10.0, 0.5, np.nan, "order")]
    columns = ["customer_id", "lifecycle_stage", "last_order_date", "orders", "historic_value", "complaints"]
    columns += ["likely_reason", "reason_confidence", "value_at_stake", "win_back_chance"]
    return pd.DataFrame(rows, columns=[*columns, "win_back_priority", "sign_of_life"])


def a_plan(run_id: str = "june") -> Plan:
    """Two treatments of which one was measured, six reasons for nothing, and two limits."""
    counts = ("customers", "held_out", "at_random", "expected_cost", "expected_gain", "gain_low", "gain_high")
    of = {
        "call": (40, 4, 3, 160.0, 90.5, -10.0, 191.0),
        MARKUP: (1000, 120, 0, 100.0, 2000.0, 1500.0, 2500.0),
    }
    totals = [{"treatment": name, **dict(zip(counts, each, strict=True))} for name, each in of.items()]
    totals.append({"treatment": "nothing", **dict.fromkeys(counts), "customers": 836})
    left_alone = {"not_worth": 100, "beaten": 600, "opted_out": 80, "quiet": 50, "nobody": 4, "unknown": 2}
    return Plan(
        plan_id="20240601-a",
        run_id=run_id,
        as_of=AS_OF,
        totals=totals,
        trust={"call": 0.0, MARKUP: 0.43},
        is_shipped=True,
        left_alone=left_alone,
        limits={
            "budget": {"used": 260.0, "most": 1000.0, "price": 0.0},
            f"channel {MARKUP} 2": {"used": 40.0, "most": 40.0, "price": 2.5},
        },
    )


def report(**other: Any) -> Report:
    finding = Finding(
        "orders", "ordered_at", "is not a time between 1900 and 2200", 3, 0.003, MARKUP, "quarantined"
    )
    evaluation = [("trees", "auc", 0.8, 0.7, 0.9), ("own past rate", "auc", 0.7, 0.6, 0.8)]
    whole: dict[str, Any] = {
        "project": MARKUP,
        "run_id": "june",
        "as_of": AS_OF,
        "model_version": "3",
        "horizon_days": 90,
        "currency": "EUR",
        "tier_names": TIERS,
        "customers": customers(),
        "moves": moves(),
        "funnel": funnel(),
        "retention": retention(),
        "effect": effect(),
        "treatments": treatments(),
        "plan": a_plan(),
        "fairness": fairness(),
        "lost": lost(),
        "quality": DataQuality({"orders": Counts(1000, 990, 3, 7)}, [finding], {}),
        "facts": {"model": "trees", "as_of": "2024-06-01T00:00:00+00:00", "grade": "B", "notes": []},
        "measures": pd.DataFrame(evaluation, columns=["model", "metric", "estimate", "low", "high"]),
    }
    return Report(**whole | other)


def bare(**parts: Any) -> Report:
    """A report of no more than these parts, which is written in no time."""
    run = {"project": "shop", "run_id": "june", "as_of": AS_OF, "model_version": "3", "horizon_days": 90}
    return Report(**run, currency="EUR", **parts)


def rows(text: str, section: str) -> list[list[str]]:
    """Read the cells of a section's tables."""
    start = text.index(f'<section id="{section}">')
    inside = text[start : text.index("</section>", start)]
    return [
        [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", row)]
        for row in re.findall("<tr.*?</tr>", inside)
    ]
