import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tierwise
from training.registry import Registry

Run = Callable[..., Any]
APPLIES = {"churn_risk", "churn_risk_percentile", "potential_score", "confidence", "reasons"}
COMMON = {
    *("customer_id", "as_of", "run_id", "model_version", "bundle_digest", "setting", "horizon_days"),
    "currency",
}
CONFIGURATION = """\
[project]
name = "club"
setting = "labelled"
[sources.customers]
path = "members.csv"
label = "Left"
[sources.customers.columns]
customer_id = "Member"
"""


def members(rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    visits, plan = rng.poisson(4, rows), rng.choice(["monthly", "yearly"], rows)
    chance = 1 / (1 + np.exp(0.8 * (visits - 3) + 1.5 * (plan == "yearly")))
    fee = np.where(rng.random(rows) < 0.05, " ", "19.90")
    left = np.where(rng.random(rows) < chance, "Yes", "No")
    return pd.DataFrame(
        {"Member": [f"m{n}" for n in range(rows)], "visits": visits, "plan": plan, "fee": fee, "Left": left}
    )


def club(folder: Path, table: pd.DataFrame, more: str = "") -> Path:
    table.to_csv(folder / "members.csv", index=False)
    file = folder / "tierwise.toml"
    file.write_text(
        CONFIGURATION.replace("[sources.customers.columns]", f"{more}\n[sources.customers.columns]")
    )
    return file


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a club with a champion of one day."""
    file = club(tmp_path_factory.mktemp("club"), members())
    tierwise.train(file, as_of="2024-02-05")
    return file


def scores(run: Run, file: Path, out: Path, table: pd.DataFrame, *more: str) -> pd.DataFrame:
    table.to_csv(file.parent / "new.csv", index=False)
    place = ("-c", file, "--set", "sources.customers.path=new.csv", *more)
    done = run("score", *place, "--as-of", "2024-02-06", "--out", out / "scores.parquet")
    assert done.code == 0, done
    return pd.read_parquet(out / "scores.parquet").set_index("customer_id", drop=False)


def test_check_tells_the_outcome_and_what_is_no_feature(tmp_path: Path, run: Run) -> None:
    file = club(tmp_path, members().assign(note=[f"call {n}" for n in range(120)]))
    told = run("check", "-c", file)
    assert told.code == 0
    assert "note: customers.note is no feature: none of its 120 texts stands in 2 rows" in told.out
    yes = (members()["Left"] == "Yes").sum()
    assert f"Left = 'Yes' for {yes} of 120 customers ({yes / 120:.1%}); 3 columns are features" in told.out


def test_a_new_file_without_the_outcome_is_scored(trained: Path, run: Run, tmp_path: Path) -> None:
    new = members().drop(columns="Left")[:30]
    told = scores(run, trained, tmp_path, new)
    assert list(told["customer_id"]) == sorted(new["Member"])
    assert told["churn_risk"].between(0, 1, inclusive="neither").all()
    assert told["churn_risk_percentile"].between(0, 100).all()
    assert told["confidence"].isin(["A", "B"]).all()
    placed = ["value_tier", "tier_changed_at"]
    assert told[placed].notna().all().all()
    assert told.drop(columns=[*APPLIES, *COMMON, *placed], errors="ignore").isna().all().all()
    assert told["potential_score"].isna().all()


def test_a_few_customers_with_new_and_missing_values_are_scored(
    trained: Path, run: Run, tmp_path: Path
) -> None:
    new = members().drop(columns="Left")[:2].assign(plan=["weekly", ""], fee=["?", " "])
    told = scores(run, trained, tmp_path, new)
    assert told["churn_risk"].between(0, 1, inclusive="neither").all()
    assert set(told["confidence"]) == {"C"}


def test_a_missing_column_is_told(trained: Path, run: Run) -> None:
    members().drop(columns=["Left", "plan"]).to_csv(trained.parent / "less.csv", index=False)
    refused = run("score", "-c", trained, "--set", "sources.customers.path=less.csv")
    refused.assert_refused("the model was trained with the text column customers.plan, which no source gives")


def test_the_same_table_is_the_same_bundle_and_more_of_it_takes_over(
    trained: Path, run: Run, tmp_path: Path
) -> None:
    again = run("train", "-c", trained, "--as-of", "2024-02-05")
    assert (
        "version 1 (blend, 120 customers, 120 labelled rows) is champion: it is the same bundle" in again.out
    )
    copied = shutil.copytree(trained.parent, tmp_path / "club")
    file = club(copied, members(150))
    grown = run("train", "-c", file, "--as-of", "2024-02-05")
    assert (
        "is champion: it is the recipe of the champion, taught on 150 customers instead of 120" in grown.out
    )
    assert Registry.open(copied / ".tierwise", project="club").find("champion").version == 2


def test_a_conversion_is_a_score_and_no_risk(run: Run, tmp_path: Path) -> None:
    file = club(tmp_path, members(), 'label_means = "conversion"\nleft_out = ["fee"]')
    assert run("train", "-c", file).code == 0
    told = scores(run, file, tmp_path, members().drop(columns=["Left", "fee"]))
    assert told["potential_score"].between(0, 100).all()
    assert told["potential_score"].max() > 1
    assert told[["churn_risk", "churn_risk_percentile"]].isna().all().all()


def test_identical_customers_count_once(run: Run, tmp_path: Path) -> None:
    file = club(tmp_path, pd.concat([members(), members()[:20]]))
    assert "of 120 customers" in run("check", "-c", file).out
    quality = json.loads((tmp_path / ".tierwise" / "data_quality.json").read_text())
    assert "the same row of a customer again" in json.dumps(quality)


def test_ten_customers_are_judged_and_forecast(run: Run, tmp_path: Path) -> None:
    file = club(tmp_path, members()[:10].assign(Left=["Yes", "No"] * 5))
    trained = run("train", "-c", file)
    assert (trained.code, "is champion" in trained.out) == (0, True)
    told = scores(run, file, tmp_path, members().drop(columns="Left"))
    assert told["churn_risk"].between(0, 1, inclusive="neither").all()


def test_one_customer_who_left_is_not_enough_to_judge(run: Run, tmp_path: Path) -> None:
    file = club(tmp_path, members().assign(Left=["Yes"] + ["No"] * 119))
    trained = run("train", "-c", file)
    assert "is champion: one of the two outcomes is too rare to hold anything out" in trained.out
    told = scores(run, file, tmp_path, members().drop(columns="Left"))
    assert told["confidence"].isin(["B", "C"]).all()
    assert told["churn_risk"].unique() == pytest.approx(2 / 122)


@pytest.mark.parametrize(
    ("table", "more", "sentence"),
    [
        pytest.param(members().drop(columns="Left"), "", "has no column 'Left' with the outcome", id="gone"),
        pytest.param(members().assign(Left="No"), "", "all 120 known outcomes are 'No'", id="constant"),
        pytest.param(members()[["Member", "Left"]], "", "gives nothing to forecast from", id="no-columns"),
        pytest.param(
            members(), 'left_out = ["visit"]', "no column 'visit'; did you mean 'visits'", id="left-out"
        ),
        pytest.param(members().drop(columns="Member"), "", "number the rows with sources", id="no-id"),
        pytest.param(members(), 'lable = "Left"', "no key sources.customers.lable", id="misspelt"),
    ],
)
def test_a_table_that_cannot_be_learnt_from_is_refused(
    table: pd.DataFrame, more: str, sentence: str, run: Run, tmp_path: Path
) -> None:
    run("train", "-c", club(tmp_path, table, more)).assert_refused(sentence)


def test_an_outcome_must_be_named(run: Run, tmp_path: Path) -> None:
    file = club(tmp_path, members())
    file.write_text(file.read_text().replace('label = "Left"\n', ""))
    run("train", "-c", file).assert_refused("sources.customers.label is missing; name the column that holds")
