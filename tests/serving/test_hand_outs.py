import csv
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.treatment_settings import PERSON
from serving.database import StoreError
from serving.hand_outs import LISTING, file_names, hand_out, write_hand_outs
from serving.plans import ROWS, Plan
from serving.store import Store
from tests.serving.desk import CALL, MAIL, Desk
from tests.serving.runs import NIGHT, a_run

TEXTS = {"call": "Call.", "mail": "Write."}
FOLDER = f"plans/{NIGHT:%Y-%m-%d}"


def a_plan(*rows: dict[str, Any], plan_id: str = "spring", as_of: datetime = NIGHT) -> tuple[Plan, pa.Table]:
    treatments = {name: {"priority": 5, "text": text} for name, text in TEXTS.items()}
    facts = {"treatments": treatments, "channels": ["e-mail", "e mail", "phone"]}
    filled = {"treatment": "call", "channel": "phone", "due_to": date(2024, 3, 14), "reason": "it pays"}
    filled |= {"is_holdout": False, "is_explored": False, "propensity": 0.9}
    table = pa.Table.from_pylist(
        [{"customer_id": f"c{at}", **filled, **row} for at, row in enumerate(rows)], schema=ROWS
    )
    plan = Plan(plan_id=plan_id, run_id="first", as_of=as_of, customers=len(rows), facts=facts)
    return plan, table


def read(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.reader(opened))[1:]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.db") as opened:
        opened.publish(a_run("first", customers=0), [], facts={})
        yield opened


def test_channels_that_are_written_alike_have_files_of_their_own(tmp_path: Path) -> None:
    plan, rows = a_plan({"channel": "e-mail"}, {"channel": "e mail"}, {"channel": "phone"})
    written = write_hand_outs(plan, rows, tmp_path)
    assert sorted(written.values()) == [1, 1, 1]
    assert f"{FOLDER}/phone.csv" in written
    listed = [row[0] for file in written for row in read(tmp_path / file)]
    assert sorted(listed) == ["c0", "c1", "c2"]


def test_a_file_is_called_alike_whoever_else_is_in_the_plan(tmp_path: Path) -> None:
    both = write_hand_outs(*a_plan({"channel": "e-mail"}, {"channel": "e mail"}), tmp_path / "both")
    alone = write_hand_outs(*a_plan({"channel": "e-mail"}), tmp_path / "alone")
    assert set(alone) < set(both)


def test_a_channel_without_letters_has_a_file_that_is_seen() -> None:
    assert not file_names(["@@"])["@@"].startswith(".")


def test_any_name_of_a_channel_makes_a_file(tmp_path: Path) -> None:
    channels = ["../../etc", "!!!", "???", "𠮷" * 80, "Phone", "phone", "Person", PERSON, "a/b", "微信"]
    names = file_names(channels)
    assert len({name.lower() for name in names.values()}) == len(channels)
    assert (names[PERSON], names["微信"]) == ("person.csv", "微信.csv")
    for name in names.values():
        (tmp_path / f".{name}.unfinished").touch()


@pytest.mark.parametrize("text", ["=1+1", "+SUM(A1)", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1+1"])
def test_what_a_spreadsheet_takes_for_a_formula_is_text(tmp_path: Path, text: str) -> None:
    plan, rows = a_plan({"customer_id": text, "text": text, "product_id": text})
    (file,) = write_hand_outs(plan, rows, tmp_path)
    (row,) = read(tmp_path / file)
    assert [row[0], row[2], row[5]] == [f"'{text}"] * 3


@pytest.mark.parametrize("customer", ["+8613800138000", "-17", "K=1", "a,b", 'say "x"', "one\ntwo", "一"])
def test_other_ids_stay_as_they_are(tmp_path: Path, customer: str) -> None:
    (file,) = write_hand_outs(*a_plan({"customer_id": customer}), tmp_path)
    assert [row[0] for row in read(tmp_path / file)] == [customer]


def test_another_plan_takes_away_the_files_of_the_one_before_and_no_others(tmp_path: Path) -> None:
    write_hand_outs(*a_plan({"channel": "e-mail"}), tmp_path)
    own = tmp_path / FOLDER / "called.csv"
    own.write_text("who was called")
    written = write_hand_outs(*a_plan({"channel": "phone"}, plan_id="summer"), tmp_path)
    assert {file.name for file in own.parent.glob("*.csv")} == {"phone.csv", "called.csv"}
    assert (list(written), own.read_text()) == ([f"{FOLDER}/phone.csv"], "who was called")


def test_the_same_plan_again_leaves_what_was_noted_in_its_files(tmp_path: Path) -> None:
    (file,) = write_hand_outs(*a_plan({}), tmp_path)
    (tmp_path / file).write_text("reached nobody")
    assert list(write_hand_outs(*a_plan({}), tmp_path)) == [file]
    assert (tmp_path / file).read_text() == "reached nobody"


def test_a_listing_that_cannot_be_read_does_no_harm(tmp_path: Path) -> None:
    (file,) = write_hand_outs(*a_plan({}), tmp_path)
    (tmp_path / FOLDER / LISTING).write_text("{")
    assert list(write_hand_outs(*a_plan({}, {}, plan_id="summer"), tmp_path)) == [file]
    assert len(read(tmp_path / file)) == 2


def test_a_file_that_is_missing_is_written_again(tmp_path: Path) -> None:
    (file,) = write_hand_outs(*a_plan({}), tmp_path)
    (tmp_path / file).unlink()
    write_hand_outs(*a_plan({}), tmp_path)
    assert len(read(tmp_path / file)) == 1


def test_two_plans_of_one_day_have_folders_of_their_own(tmp_path: Path) -> None:
    (first,) = write_hand_outs(*a_plan({}), tmp_path)
    (second,) = write_hand_outs(*a_plan({}, as_of=NIGHT + timedelta(hours=9)), tmp_path)
    assert (first, second) == (f"{FOLDER}/phone.csv", f"{FOLDER}T090000/phone.csv")
    assert (tmp_path / first).exists()


def test_a_published_plan_is_handed_out_whole(store: Store, tmp_path: Path) -> None:
    plan, rows = a_plan({}, {"is_holdout": True}, {"channel": PERSON, "treatment": "nothing"})
    store.plans.publish(plan, rows)
    out = tmp_path / "plan.parquet"
    files = hand_out(store.plans, plan, out=out, workspace=tmp_path)
    assert pq.read_metadata(out).num_rows == 3
    assert files == {f"{FOLDER}/{name}.csv": 1 for name in (PERSON, "phone")}
    assert [read(tmp_path / file)[0][0] for file in files] == ["c2", "c0"]


def test_a_plan_that_was_replaced_meanwhile_is_not_handed_out(store: Store, tmp_path: Path) -> None:
    plan, rows = a_plan({})
    store.plans.publish(plan, rows)
    other, others = a_plan({"channel": "e-mail"}, plan_id="second thoughts")
    store.plans.publish(other, others)
    files = hand_out(store.plans, other, out=None, workspace=tmp_path)
    out = tmp_path / "plan.parquet"
    with pytest.raises(StoreError, match=r"plan 'spring' was replaced by another one.*plan again"):
        hand_out(store.plans, plan, out=out, workspace=tmp_path)
    assert not out.exists()
    assert all((tmp_path / file).exists() for file in files)


def test_hand_outs_list_whom_to_treat_and_never_the_held_out(desk: Desk, tmp_path: Path) -> None:
    plan, rows = desk.plan(CALL, MAIL, "[plan]\nholdout = 0.3\n")
    written = write_hand_outs(plan, desk.store.plans.rows(plan.plan_id), tmp_path)
    folder = tmp_path / "plans" / f"{plan.as_of:%Y-%m-%d}"
    phone = pd.read_csv(folder / "phone.csv")
    assert phone.columns.tolist() == ["customer_id", "treatment", "due_from", "due_to", "text"]
    assert set(phone["text"]) == {"Call, and listen."}
    listed = rows.loc[pd.concat([phone, pd.read_csv(folder / "email.csv")])["customer_id"]]
    assert not listed["is_holdout"].any()
    assert sum(written.values()) == len(listed)
