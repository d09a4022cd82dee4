from dataclasses import replace

from tests.training.whole_report import MARKUP, a_plan, bare, rows
from training.report_page import page
from training.report_words import DASH


def test_the_plan_tells_who_gets_what_why_others_get_nothing_and_its_limits(english: str) -> None:
    dash = f" {DASH} "
    assert rows(english, "plan") == [
        ["treatment", "customers", "held out", "at random", "cost", "expected gain", "measured"],
        ["call", "40", "4", "3", "160", f"90 (-10{dash}191)", "0%"],
        [MARKUP, "1,000", "120", "0", "100", f"2,000 (1,500{dash}2,500)", "43%"],
        ["together", "1,040", "124", "3", "260", f"2,090 (1,490{dash}2,691)", ""],
        ["nothing", "836", *[""] * 5],
        ["reason", "customers", "share"],
        ["others gain more from the same money or places", "600", "71.8%"],
        ["nothing that is open pays", "100", "12.0%"],
        ["want no contact", "80", "9.6%"],
        ["all days of the plan are quiet", "50", "6.0%"],
        ["no treatment is meant for them", "4", "0.5%"],
        ["other reasons", "2", "0.2%"],
        ["limit", "used", "there is", "one more would gain"],
        ["budget (EUR)", "260", "1,000", "0.00"],
        [f"channel {MARKUP} 2", "40", "40", "2.50"],
    ]
    assert "Plan 20240601-a of 2024-06-01, for run june; money in EUR." in english
    assert "plan again" not in english


def test_a_plan_of_an_earlier_run_says_so() -> None:
    assert "not of this page&#x27;s run june: plan again" in page(bare(plan=a_plan("may")))


def test_a_plan_of_an_older_version_leaves_out_what_it_does_not_tell() -> None:
    text = page(bare(plan=replace(a_plan(), left_alone=None, limits=None)))
    assert "<h3>" not in text
    assert [row[0] for row in rows(text, "plan")] == ["treatment", "call", MARKUP, "together", "nothing"]


def test_a_plan_of_nothing_is_shown_too() -> None:
    idle = replace(a_plan(), totals=a_plan().totals[2:], limits={})
    assert rows(page(bare(plan=idle)), "plan")[1:3] == [
        ["together", "0", "0", "0", "0", f"0 (0{DASH}0)", ""],
        ["nothing", "836", *[""] * 5],
    ]
