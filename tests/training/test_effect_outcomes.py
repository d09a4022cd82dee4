import pandas as pd
import pytest

from training.effect_outcomes import with_chances


def chances(*rows: tuple[str, int, float | None]) -> list[float]:
    """Return the chances of assignments of one treatment: campaign, held out or not, propensity."""
    log = pd.DataFrame(rows, columns=["campaign", "is_holdout", "propensity"])
    log = log.assign(treatment="call", subject=range(len(log))).astype({"propensity": float})
    return with_chances(log)["propensity"].tolist()


def test_where_a_part_was_explored_the_chances_of_the_rest_add_up_to_one() -> None:
    assert chances(("spring", 0, 0.72), ("spring", 1, 0.18)) == pytest.approx([0.8, 0.2])


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        pytest.param([("spring", 0, 0.7), ("spring", 1, 0.3)], [0.7, 0.3], id="nothing-explored"),
        pytest.param([("a", 0, 0.9), ("a", 0, 0.5), ("a", 1, 0.5)], [0.9, 0.5, 0.5], id="by-stratum"),
        pytest.param([("a", 0, 0.7), ("b", 1, 0.2)], [0.7, 0.2], id="one-arm-alone"),
    ],
)
def test_other_chances_stay_as_they_are(rows: list[tuple[str, int, float]], told: list[float]) -> None:
    assert chances(*rows) == pytest.approx(told)


def test_unknown_chances_are_the_shares_of_all_small_campaigns_together() -> None:
    assert chances(("a", 0, None), ("b", 1, None), ("b", 0, None), ("c", 0, None)) == [0.75, 0.25, 0.75, 0.75]
