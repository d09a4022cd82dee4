import json
from collections.abc import Callable

import pytest
from rich.console import Console

from features.quality import Counts, DataQuality, Finding, render

FINDING = Finding("orders", "customer_id", "is missing", 1, 0.25, "", "quarantined")
QUALITY = DataQuality({"orders": Counts(4, 2, 1, 1)}, [FINDING], {"orders": "abc"})


def test_the_report_shows_where_the_rows_went() -> None:
    console = Console(width=150, record=True, quiet=False, file=None)
    with console.capture() as shown:
        console.print(render(QUALITY))
    assert "2 used, 1 quarantined, 1 merged" in shown.get()
    assert "25.00%" in shown.get()


def test_the_report_is_json() -> None:
    assert json.loads(QUALITY.to_json()) == {
        "counts": {"orders": {"rows_in": 4, "used": 2, "quarantined": 1, "merged": 1}},
        "findings": [
            {
                "table": "orders",
                "column": "customer_id",
                "rule": "is missing",
                "rows": 1,
                "share": 0.25,
                "example": "",
                "action": "quarantined",
            }
        ],
        "digests": {"orders": "abc"},
    }


def test_rows_cannot_be_lost() -> None:
    with pytest.raises(AssertionError, match="lost or invented"):
        Counts(rows_in=4, used=2, quarantined=1, merged=0)


def test_the_digest_knows_the_rows_but_not_their_order(staged: Callable) -> None:
    rows = ["a,2011-01-01,1\n", "b,2011-01-01,1\n", "b,2011-01-01,1\n"]

    def digest(*lines: str) -> str:
        text = "customer_id,ordered_at,amount\n" + "".join(lines)
        return staged('[sources.orders]\npath = "o.csv"', o_csv=text)[1].digests["orders"]

    assert digest(*rows) == digest(*reversed(rows))
    assert len({digest(*rows), digest(*rows[:2]), digest(*rows[:2], "b,2011-01-01,2\n")}) == 3
