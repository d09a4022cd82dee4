from datetime import timedelta

import pandas as pd

from tests.training.whole_report import AS_OF
from training.report import Moves


def test_a_tier_of_an_earlier_policy_stands_after_those_of_today() -> None:
    names = ["gold", "high", "low"]
    counts = pd.DataFrame([[0, 3, 1], [0, 5, 0], [0, 0, 6]], names, names)
    since = Moves(counts=counts, since=AS_OF - timedelta(days=7), until=AS_OF)
    assert since.ordered(["high", "low"]).to_dict("split") == {
        "index": ["high", "low", "gold"],
        "columns": ["high", "low"],
        "data": [[5, 0], [0, 6], [3, 1]],
    }
    assert since.up_and_down(["high", "low"]) == (0, 0)
