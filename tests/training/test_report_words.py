import re

import pytest

from models.contact_rules import RULES
from training.report_words import TABLE


def test_both_languages_say_the_same_messages() -> None:
    english, chinese = (
        {(section, name) for section, told in TABLE[each].items() for name in told} for each in ("en", "zh")
    )
    places = re.compile(r"\{(\w+)")
    assert english - chinese == set()
    for section, name in english & chinese:
        told = [sorted(places.findall(TABLE[each][section][name])) for each in ("en", "zh")]
        assert told[0] == told[1], (section, name)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_rule_that_leaves_a_customer_alone_has_its_words(language: str) -> None:
    chosen = {"nobody", "beaten", "not_worth", "losing", "unknown"}
    assert {*RULES, *chosen} <= TABLE[language]["plan"].keys()
