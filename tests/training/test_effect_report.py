import json
from collections.abc import Callable

import pandas as pd
import pytest

from features.configuration import Configuration
from tests.training.treated_shop import treatments
from training.effect_report import EffectReport
from training.effects import effects


def test_a_report_is_left_in_the_workspace_with_the_looks_before_it(
    write_shop: Callable[..., Configuration],
) -> None:
    first = effects(write_shop(treatments()), None, None)
    again = effects(write_shop(treatments()), None, None)
    more = treatments(assigned_at="2024-04-01")
    configuration = write_shop(treatments() + more)
    last = effects(configuration, None, None)
    assert [report.looks_at("coupon") for report in (first, again, last)] == [1, 1, 2]
    kept = EffectReport.read(configuration.project.workspace / "effects.json")
    assert kept is not None
    assert (kept.as_of, kept.log, list(kept.looks)) == (last.as_of, last.log, list(last.looks))
    pd.testing.assert_frame_equal(kept.table, last.table, check_dtype=False)
    pd.testing.assert_frame_equal(kept.plans, last.plans, check_dtype=False)
    json.loads((configuration.project.workspace / "effects.json").read_text(), parse_constant=pytest.fail)
