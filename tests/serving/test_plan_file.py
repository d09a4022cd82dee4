import io

import pyarrow as pa
import pytest
from rich.console import Console

from serving.plan_file import shown
from serving.plans import ROWS, Plan
from tests.serving.runs import NIGHT


@pytest.mark.parametrize("name", ["[red]call[/red]", "[/]", "[link=x]", "call [1]"])
def test_any_name_of_a_treatment_is_told_as_it_is(name: str) -> None:
    facts = {"treatments": {name: {"trust": 0.0}}, "prices": {f"treatment {name}": 1.0}}
    plan = Plan(plan_id="spring", run_id="first", as_of=NIGHT, customers=1, facts=facts)
    row = {"customer_id": "Ada", "treatment": name, "reason": "it pays", "propensity": 0.9}
    rows = pa.Table.from_pylist([row | {"is_holdout": False, "is_explored": False}], schema=ROWS)
    console = Console(file=io.StringIO(), width=200)
    for table in shown(plan, rows, currency="EUR"):
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count(name) == 2
