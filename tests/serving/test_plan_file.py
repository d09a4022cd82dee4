import io
from typing import Any

import pytest
from rich.console import Console

from features.treatment_settings import NOTHING
from serving.plan_file import shown
from serving.plans import AMOUNTS, Plan
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
