import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from features.treatment_settings import NOTHING
from serving.plan_file import COLUMNS, shown, write_plan
from serving.plans import AMOUNTS, Plan
from tests.serving.desk import CALL, MAIL, Desk
from tests.serving.runs import NIGHT


def told(limits: dict[str, Any], name: str = "call") -> str:
    """Print a plan that treats one customer of two."""
    facts = {"treatments": {name: {"trust": 0.0}}, "limits": limits}
    plan = Plan(plan_id="spring", run_id="first", as_of=NIGHT, customers=2, facts=facts)
    counts = {"customers": 1, "held_out": 0, "at_random": 0}
    totals = [
        {"treatment": name, **counts, **dict.fromkeys(AMOUNTS, 2.0)},
        {"treatment": NOTHING, **counts, **dict.fromkeys(AMOUNTS)},
    ]
    text = io.StringIO()
    console = Console(file=text, width=200)
    for table in shown(plan, totals, currency="EUR"):
        console.print(table)
    return text.getvalue()


@pytest.mark.parametrize("name", ["[red]call[/red]", "[/]", "[link=x]", "call [1]"])
def test_any_name_of_a_treatment_is_told_as_it_is(name: str) -> None:
    assert told({f"treatment {name}": {"used": 1.0, "most": 1.0, "price": 1.0}}, name).count(name) == 2


def test_each_limit_is_told_with_its_use() -> None:
    text = told({"budget": {"used": 1234.4, "most": 2000.0, "price": 0.125}})
    assert text.splitlines()[-1].split() == ["budget", "1,234", "2,000", "0.12"]


def test_a_plan_without_limits_tells_none() -> None:
    assert "limit" not in told({})


def test_the_file_has_the_columns_that_are_promised(desk: Desk, tmp_path: Path) -> None:
    plan, _ = desk.plan(CALL, MAIL)
    write_plan(plan, desk.store.plans.rows(plan.plan_id), tmp_path / "plan.parquet")
    written = pq.read_table(tmp_path / "plan.parquet")
    assert tuple(written.column_names) == COLUMNS
    assert written.schema.field("as_of").type == pa.timestamp("us", "UTC")
    assert set(written["plan_id"].to_pylist()) == {plan.plan_id}


def test_the_text_tells_each_customer_s_own_facts(desk: Desk, tmp_path: Path) -> None:
    plan, rows = desk.plan(CALL.replace("Call, and listen.", "{orders_all} orders: call by {due_to}."), MAIL)
    write_plan(plan, desk.store.plans.rows(plan.plan_id), tmp_path / "plan.parquet")
    texts = pd.read_parquet(tmp_path / "plan.parquet").groupby("treatment")["text"]
    last = desk.as_of.date() + timedelta(days=13)
    assert texts.get_group("call").str.fullmatch(rf"\d+ orders: call by {last}\.").all()
    assert len(set(texts.get_group("call"))) > 1
    assert (texts.get_group("mail").nunique(), texts.get_group("nothing").count()) == (1, 0)
    assert rows.loc[rows["treatment"] != "call", "text"].isna().all()


def test_the_terminal_tells_each_treatment_and_all_together(desk: Desk) -> None:
    plan, rows = desk.plan(CALL, MAIL, "[plan]\nholdout = 0.3\n")
    table = shown(plan, desk.store.plans.totals(plan.plan_id), currency="EUR")[0]
    cells = {str(column.header): list(column.cells) for column in table.columns}
    assert cells["treatment"] == ["call", "mail", "together", "nothing"]
    assert cells["measured"] == ["0%", "0%", "", ""]
    done = rows[(rows["treatment"] != "nothing") & ~rows["is_holdout"]]
    assert cells["customers"][2:] == [f"{len(done):,}", f"{(rows['treatment'] == 'nothing').sum():,}"]
    assert cells["held out"][2] == f"{rows['is_holdout'].sum():,}"
    assert cells["cost (EUR)"][2] == f"{done['expected_cost'].sum():,.0f}"
