import pytest

from models.placement import CLASSES, class_kinds


@pytest.mark.parametrize(
    ("setting", "classes"),
    [
        ("transactional", {*CLASSES}),
        ("contractual", {"lifecycle_stage", "loyalty_tier", "is_base_customer", "need"}),
        ("labelled", set()),
    ],
)
def test_conditions_may_name_the_classes_that_there_are(setting: str, classes: set[str]) -> None:
    assert {*class_kinds(setting)} == classes
