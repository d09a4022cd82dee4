import json
import re

import pytest

from features.attributes import Attribute
from features.contract import Kind
from features.plan import FeaturePlan
from models.estimator import CALENDAR
from models.explanation import PURCHASE_RHYTHM
from models.wording import LANGUAGES, OWN, TABLE, message, told

PLAN = FeaturePlan(
    horizon_days=90,
    order_columns=("order_id", "product_id", "quantity", "category", "discount"),
    mixes={"category": ("tea", "cups"), "payment_method": ("Credit card",)},
    interaction_kinds=("visit", "email_open"),
    feedback_kinds=("complaint", "survey"),
    feedback_topics=("nps", "after_sales"),
    attributes=(Attribute("country", Kind.TEXT, ("UK",)), Attribute("orders 30d", Kind.NUMBER, fixed=True)),
    knows_joining=True,
)
THEMES = {
    "recency_days": "recency",
    "gap_scv": "rhythm",
    "orders_90d": "volume",
    "spend_90d": "spend",
    "spend_90d_of_180d": "trend",
    "orders_year_ago": "season",
    "category_share_tea": "basket",
    "visit_30d": "contacts",
    "topic_nps_all": "feedback",
    "customer_orders_30d": "attributes",
    "purchase_rhythm": "purchase_rhythm",
    "whatever": OWN,
}


@pytest.mark.parametrize("target", ["churn_risk", "expected_value"])
def test_every_feature_has_a_message_in_every_language(target: str) -> None:
    names = [*PLAN.names(), PURCHASE_RHYTHM]
    names.remove(CALENDAR)
    for name in names:
        about = message(name, target)
        assert about.theme != OWN, name
        for language in LANGUAGES:
            places = ["orders", "silent", "value"] if name == PURCHASE_RHYTHM else ["value"]
            assert re.findall(r"\{(\w+)\}", about.facts[language]) == places, name
        assert re.search("[\u4e00-\u9fff]", about.facts["zh"]), name
        assert about.facts["en"].isascii(), name


def test_every_language_says_the_same_things() -> None:
    english, chinese = (TABLE["languages"][language] for language in ("en", "zh"))
    assert english.keys() == chinese.keys()
    for key, words in english.items():
        assert isinstance(words, str) or words.keys() == chinese[key].keys() == {"raises", "lowers"}


@pytest.mark.parametrize(("feature", "theme"), THEMES.items())
def test_a_feature_belongs_to_its_theme(feature: str, theme: str) -> None:
    assert message(feature, "churn_risk").theme == theme


@pytest.mark.parametrize(
    ("reason", "english", "chinese"),
    [
        (
            ["recency_days", 143, 0.5],
            "last order 143 days ago: raises the churn risk",
            "距上次下单143天，提高流失风险",  # noqa: RUF001 - Chinese
        ),
        (
            ["season_share", 0.331, -0.1],
            "33% of all orders fell into the coming season: lowers the churn risk",
            None,
        ),
        (
            ["email_open_30d", 2, -0.1],
            "email_open in the last 30 days: 2: lowers the churn risk",
            "近30天“打开邮件”次数：2，降低流失风险",  # noqa: RUF001 - Chinese
        ),
        (
            ["feedback_Lob_all", 2, -0.1],
            "2 times Lob so far: lowers the churn risk",
            "累计“Lob”反馈2次，降低流失风险",  # noqa: RUF001 - Chinese
        ),
        (["spend_90d", 1234.5, -0.1], "1,234.50 spent in the last 90 days: lowers the churn risk", None),
        (
            ["purchase_rhythm", 0.87, 1.2, [4, 228]],
            (
                "orders so far: 4, the last 228 days ago; by this rhythm alone, the chance of no order is "
                "87%: raises the churn risk"
            ),
            "累计下单4次，上次在228天前；仅按此节奏，不再下单的概率为87%，提高流失风险",  # noqa: RUF001 - Chinese
        ),
        (
            ["gap_min_days", 1, 0.5],
            "shortest gap between orders: 1 day: raises the churn risk",
            "最短下单间隔：1天，提高流失风险",  # noqa: RUF001 - Chinese
        ),
        (["gap_min_days", 11, 0.5], "shortest gap between orders: 11 days: raises the churn risk", None),
        (["products_30d", 1, -0.1], "1 different product in the last 30 days: lowers the churn risk", None),
        (
            ["purchase_rhythm", 0.5, 1.2, [1, 1]],
            (
                "orders so far: 1, the last 1 day ago; by this rhythm alone, the chance of no order is "
                "50%: raises the churn risk"
            ),
            None,
        ),
        (["customer_town", 4, 0.2, "Köln"], "town is Köln: raises the churn risk", None),
        (["customer_vip", 1, -0.2, True], "vip is yes: lowers the churn risk", None),
        (
            ["customer_age", None, 0.2],
            "age is not known: raises the churn risk",
            "客户属性“age”为未知，提高流失风险",  # noqa: RUF001 - Chinese
        ),
        (["refund_days_since", None, -0.2], "days since the last refund: none: lowers the churn risk", None),
    ],
)
def test_a_reason_in_words(reason: list[object], english: str, chinese: str | None) -> None:
    compact = json.dumps({"churn_risk": [reason]})
    (one,) = told(compact, "en")
    assert one["text"] == english
    assert (one["feature"], one["value"], one["effect"]) == tuple(reason[:3])
    if chinese is not None:
        assert told(compact, "zh")[0]["text"] == chinese


def test_what_a_company_can_act_on_is_marked() -> None:
    compact = json.dumps(
        {"churn_risk": [["complaints_open", 1, 0.5]], "expected_value": [["tenure_days", 9, 0.1]]}
    )
    assert [(one["target"], one["actionable"]) for one in told(compact, "en")] == [
        ("churn_risk", True),
        ("expected_value", False),
    ]
