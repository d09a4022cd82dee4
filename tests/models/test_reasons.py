import json

import numpy as np
import pytest

from features.attributes import Attribute
from features.contract import Kind
from models.baselines import OwnRate
from models.estimator import Columns
from models.explanation import Explanation
from models.reasons import CHUNK_ROWS, ReasonWriter, strongest

NAMES = ("recency_days", "recency_share", "orders_30d", "visit_30d", "customer_town", "purchase_rhythm")


def explained(*effects: list[float], target: str = "churn_risk") -> Explanation:
    given = np.array(effects)[None]
    values = np.broadcast_to(np.arange(len(NAMES), dtype=float), given.shape)
    return Explanation((target,), NAMES, np.zeros((1, len(effects))), given, values)


class Given(OwnRate):
    """An estimator with effects that are given: the features themselves."""

    def explain(self, columns: Columns) -> Explanation:
        return explained(*np.array([columns[name] for name in NAMES]).T)


def written(
    *effects: list[float], attributes: tuple[Attribute, ...] = ()
) -> list[dict[str, list[list[object]]]]:
    columns = dict(zip(NAMES, np.array(effects).T, strict=True))
    return [json.loads(text) for text in ReasonWriter(Given(), attributes).write(columns)]


def test_the_strongest_themes_come_first_each_told_by_its_strongest_feature() -> None:
    found = strongest(explained([0.3, 0.1, -0.2, 0.05, 0.0, -1.0]), 0, most=3)
    assert [NAMES[place] for place in found.features[0]] == ["purchase_rhythm", "recency_days", "orders_30d"]
    assert found.effects[0].tolist() == pytest.approx([-1.0, 0.4, -0.2])
    assert found.values[0].tolist() == [5, 0, 2]


def test_attributes_have_nothing_in_common_and_stand_for_themselves() -> None:
    names = ("customer_town", "customer_age", "recency_days", "recency_share")
    given = explained([0.5, -0.4, 0.2, 0.1, 0.0, 0.0])
    found = strongest(given._replace(names=(*names, "orders_30d", "visit_30d")), 0, most=3)
    assert found.features[0].tolist() == [0, 1, 2]
    assert found.effects[0].tolist() == pytest.approx([0.5, -0.4, 0.3])


def test_a_theme_is_told_by_a_feature_that_moved_as_the_theme_did() -> None:
    found = strongest(explained([0.5, -0.9, 0.0, 0.0, 0.0, 0.0]), 0, most=1)
    assert NAMES[found.features[0, 0]] == "recency_share"
    assert found.effects[0, 0] == pytest.approx(-0.4)


def test_what_hardly_moves_is_no_reason() -> None:
    assert written([0.009, 0.0, -0.011, 0.0, 0.0, 0.0]) == [{"churn_risk": [["orders_30d", 2, -0.011]]}]


def test_the_purchase_rhythm_comes_with_the_orders_and_the_days_since_the_last() -> None:
    columns = dict(zip(NAMES, np.array([[0.0, 0.0, 0.0, 0.0, 0.0, -0.5]]).T, strict=True))
    (text,) = ReasonWriter(Given()).write(
        columns | {"recency_days": np.zeros(1), "orders_all": np.full(1, 4.0)}
    )
    assert json.loads(text) == {"churn_risk": [["purchase_rhythm", 5, -0.5, [4, 0]]]}


def test_a_code_has_its_word_and_what_is_not_known_no_value() -> None:
    town = Attribute("town", Kind.TEXT, ("a", "b", "c", "d", "Köln"), fixed=True)
    told = written([0.0, 0.0, 0.0, 0.0, 0.5, 0.0], attributes=(town,))
    assert told == [{"churn_risk": [["customer_town", 4, 0.5, "Köln"]]}]
    unknown = explained([0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
    values = np.full_like(unknown.values, np.nan)
    writer = ReasonWriter(Given(), ())
    writer._estimator.explain = lambda _: unknown._replace(values=values)  # type: ignore[method-assign]  # noqa: SLF001
    assert json.loads(writer.write({"a": np.zeros(1)})[0]) == {"churn_risk": [["recency_days", None, 0.5]]}


def test_many_customers_at_once_have_the_reasons_that_each_has_alone() -> None:
    effects = np.random.default_rng(0).normal(size=(CHUNK_ROWS + 3, len(NAMES)))
    columns = dict(zip(NAMES, effects.T, strict=True))
    together = ReasonWriter(Given(), ()).write(columns)
    for place in (0, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 2):
        alone = {name: values[place : place + 1] for name, values in columns.items()}
        assert ReasonWriter(Given(), ()).write(alone) == [together[place]]


def test_nobody_has_no_reasons() -> None:
    assert ReasonWriter(Given(), ()).write(dict.fromkeys(NAMES, np.empty(0))) == []
