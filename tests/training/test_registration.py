from datetime import UTC, datetime
from typing import Any

import pytest

from training.gate import Verdict
from training.registration import Training
from training.versions import Version

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
GRADED = {"grade": "A", "grade_reason": "it is better"}


@pytest.mark.parametrize(
    ("facts", "remarks"),
    [
        ({"notes": []}, []),
        ({"notes": ["BgNbd: slow"]}, ["note: BgNbd: slow"]),
        ({"notes": ["BgNbd: slow"]} | GRADED, ["grade A: it is better", "note: BgNbd: slow"]),
    ],
)
def test_the_grade_comes_before_what_had_to_be_helped(facts: dict[str, Any], remarks: list[str]) -> None:
    version = Version(
        version=1, digest="d", kind="trees", as_of=NOON, aliases=(), created=NOON, metrics={}, run_id="r"
    )
    done = Training(version, Verdict("trees", "champion", "it is alone", ()), None, facts)
    assert done.remarks() == remarks
