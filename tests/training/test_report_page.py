import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.assignments import Log
from features.quality import Counts, DataQuality, Finding
from models.contact_rules import RULES
from models.effects import COLUMNS
from tests.latin import latin_runs
from training.effect_report import EffectReport, Look
from training.report import Moves, Plan, Report
from training.report_page import SECTIONS, page
from training.report_words import DASH, TABLE

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
TIERS = ("Key <accounts> & co", "重要客户", "low")
MARKUP = "<img src=x onerror=alert(1)>"
STEPS = [("prospect", "first_order"), ("first_order", "repeat"), ("lapsing", "lost")]


def customers(number: int = 200) -> pd.DataFrame:
    """As many customers, over all tiers and stages, at a risk from 0 to 1."""
    ids = np.arange(number)
    return pd.DataFrame(
        {
            "customer_id": [f"{MARKUP}{each}" for each in ids],
            "value_tier": np.array(TIERS)[ids % 3],
            "lifecycle_stage": np.array(["established", "lapsing", "lost", "first_time"])[ids % 4],
            "churn_risk": ids / number,
            "expected_value": 10.0 + ids % 50,
            "reasons": '{"churn_risk": [["recency_days", 100.0, 0.5]]}',
        }
    )


def moves() -> Moves:
    names = [*sorted(TIERS)]
    counts = pd.DataFrame(np.arange(16.0).reshape(4, 4), [*names, "(new)"], [*names, "(gone)"])
    expected = pd.DataFrame(np.full((3, 3), 1 / 3), TIERS, TIERS)
    return Moves(counts=counts, since=AS_OF - timedelta(days=30), until=AS_OF, expected=expected)


def funnel() -> pd.DataFrame:
    rows = [(*step, cohort, 40, 10) for step in STEPS for cohort in ("2023-01", "2023-02", "all")]
    frame = pd.DataFrame(rows, columns=["stage", "next_stage", "cohort", "customers", "reached"])
    return frame.assign(share=0.25, low=0.14, high=0.40)


def retention(cohorts: int = 20) -> pd.DataFrame:
    rows = [(f"2023-{n:02d}", p, 30, 6, 0.2) for n in range(cohorts) for p in range(1, cohorts - n + 1)]
    return pd.DataFrame(rows, columns=["cohort", "periods", "customers", "ordered", "share"])


def effect() -> pd.DataFrame:
    rows = [
        (tier, measure, value, value / 2, np.nan, AS_OF, AS_OF - timedelta(days=7), None)
        for tier in TIERS
        for measure, value in (("customers", 1200.0), ("repurchase_rate", 0.5), ("margin", np.nan))
    ]
    columns = ["tier", "measure", "value", "run_before", "year_before"]
    return pd.DataFrame(rows, columns=[*columns, "as_of", "run_before_as_of", "year_before_as_of"])


def treatments() -> EffectReport:
    """Three treatments: one of which nothing is known, one that paid, one that did not, and a tier of it."""
    known = ["treated", "held_out", "increment", "increment_low", "increment_high", "cost", "net", "net_low"]
    rows = [
        ("call", "all", "all", 40, 0, *[np.nan] * 10, "nobody_held_out"),
        (MARKUP, "all", "all", 900, 100, 9.0, 7.0, 11.0, 4.0, 5.0, 3.0, 7.0, 0.001, 0.002, 1.0, None),
        ("care", "all", "all", 900, 100, 1.0, -1.0, 3.0, 4.0, -3.0, -5.0, -1.0, 0.3, 0.3, 1.0, None),
        ("care", "value_tier", TIERS[0], 90, 50, 1.0, -1.0, 3.0, 4.0, -3.0, -5.0, -1.0, 0.3, 0.6, 4.0, None),
    ]
    columns = ["treatment", "by", "group", *known, "net_high", "p_value", "p_holm", "net_se", "reason"]
    table = pd.DataFrame(rows, columns=columns).reindex(columns=["treatment", "by", "group", *COLUMNS])
    return EffectReport(
        as_of=AS_OF,
        horizon_days=90,
        currency="EUR",
        value="revenue",
        log=Log(2190, 2040, 3, 0, 0, 1),
        table=table,
        waiting={"care": 150},
        assumed={"call": 40},
        overtaken={"care": 7},
        looks=[Look(as_of="2024-05-01", over={"care": 500}), Look(as_of="2024-06-01", over={"care": 1000})],
    )


def fairness() -> pd.DataFrame:
    groups = [
        ("women", 400, 0.3, np.nan, False),
        ("men", 380, 0.1, 0.33, True),
        (MARKUP, 20, 0.2, 0.6, False),
    ]
    rows = [("gender", tier, *group) for tier in (TIERS[0], TIERS[-1]) for group in groups]
    frame = pd.DataFrame(rows, columns=["attribute", "tier", "group", "customers", "rate", "ratio", "alert"])
    limits = {"low": frame["rate"] - 0.05, "high": frame["rate"] + 0.05}
    ratios = {"ratio_low": frame["ratio"] - 0.1, "ratio_high": frame["ratio"] + 0.1}
    return frame.assign(favoured="women", **limits, **ratios)


def lost() -> pd.DataFrame:
    rows = [("x", "lost", date(2023, 1, 2), 7, 900.0, 1, "service", "high", 450.0, 0.1, 2.0, None)]
    rows += [("y", "lost", date(2023, 1, 3), 1, 90.0, 0, "natural_end", "low", 45.0, 0.5, 1.0, "visit")]
    rows += [("z", "won_back", date(2024, 5, 30), 2, 20.0, 0, "unknown", None, 10.0, 0.5, np.nan, "order")]
    columns = ["customer_id", "lifecycle_stage", "last_order_date", "orders", "historic_value", "complaints"]
    columns += ["likely_reason", "reason_confidence", "value_at_stake", "win_back_chance"]
    return pd.DataFrame(rows, columns=[*columns, "win_back_priority", "sign_of_life"])


def a_plan(run_id: str = "june") -> Plan:
    """Two treatments of which one was measured, six reasons for nothing, and two limits."""
    counts = ("customers", "held_out", "at_random", "expected_cost", "expected_gain", "gain_low", "gain_high")
    of = {
        "call": (40, 4, 3, 160.0, 90.5, -10.0, 191.0),
        MARKUP: (1000, 120, 0, 100.0, 2000.0, 1500.0, 2500.0),
    }
    totals = [{"treatment": name, **dict(zip(counts, each, strict=True))} for name, each in of.items()]
    totals.append({"treatment": "nothing", **dict.fromkeys(counts), "customers": 836})
    left_alone = {"not_worth": 100, "beaten": 600, "opted_out": 80, "quiet": 50, "nobody": 4, "unknown": 2}
    return Plan(
        plan_id="20240601-a",
        run_id=run_id,
        as_of=AS_OF,
        totals=totals,
        trust={"call": 0.0, MARKUP: 0.43},
        is_shipped=True,
        left_alone=left_alone,
        limits={
            "budget": {"used": 260.0, "most": 1000.0, "price": 0.0},
            f"channel {MARKUP} 2": {"used": 40.0, "most": 40.0, "price": 2.5},
        },
    )


def report(**other: Any) -> Report:
    finding = Finding(
        "orders", "ordered_at", "is not a time between 1900 and 2200", 3, 0.003, MARKUP, "quarantined"
    )
    evaluation = [("trees", "auc", 0.8, 0.7, 0.9), ("own past rate", "auc", 0.7, 0.6, 0.8)]
    whole: dict[str, Any] = {
        "project": MARKUP,
        "run_id": "june",
        "as_of": AS_OF,
        "model_version": "3",
        "horizon_days": 90,
        "currency": "EUR",
        "tier_names": TIERS,
        "customers": customers(),
        "moves": moves(),
        "funnel": funnel(),
        "retention": retention(),
        "effect": effect(),
        "treatments": treatments(),
        "plan": a_plan(),
        "fairness": fairness(),
        "lost": lost(),
        "quality": DataQuality({"orders": Counts(1000, 990, 3, 7)}, [finding], {}),
        "facts": {"model": "trees", "as_of": "2024-06-01T00:00:00+00:00", "grade": "B", "notes": []},
        "measures": pd.DataFrame(evaluation, columns=["model", "metric", "estimate", "low", "high"]),
    }
    return Report(**whole | other)


def bare(**parts: Any) -> Report:
    """A report of no more than these parts, which is written in no time."""
    run = {"project": "shop", "run_id": "june", "as_of": AS_OF, "model_version": "3", "horizon_days": 90}
    return Report(**run, currency="EUR", **parts)


def rows(text: str, section: str) -> list[list[str]]:
    """Read the cells of a section's tables."""
    start = text.index(f'<section id="{section}">')
    inside = text[start : text.index("</section>", start)]
    return [
        [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", row)]
        for row in re.findall("<tr.*?</tr>", inside)
    ]


@pytest.fixture(scope="module")
def page_in() -> Callable[[str], str]:
    """Write the page in a language, once."""
    return cache(lambda language: page(report(language=language)))


@pytest.fixture(scope="module")
def english(page_in: Callable[[str], str]) -> str:
    return page_in("en")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_browser_shows_the_page_without_fetching_anything_and_its_layout_holds(
    width: int,
    language: str,
    page_in: Callable[[str], str],
    tmp_path: Path,
    browser: Any,
    assert_shown_well: Callable[..., None],
) -> None:
    file = tmp_path / "report.html"
    file.write_text(page_in(language), encoding="utf-8")
    assert_shown_well(file, width=width)
    below = "[...document.querySelectorAll('section')].sort((a, b) => a.offsetTop - b.offsetTop)"
    assert browser.value(f"{below}.map(one => one.id)") == list(SECTIONS)
    assert browser.value("document.documentElement.lang") == language
    titles = browser.value("[...document.querySelectorAll('h2')].map(one => one.textContent)")
    assert titles == [TABLE[language][name]["title"] for name in SECTIONS]


@pytest.mark.parametrize("letter", ["w", "重"])
def test_many_tiers_with_long_names_hold_their_place(
    letter: str, tmp_path: Path, assert_shown_well: Callable[..., None]
) -> None:
    tiers = [f"{number}{letter * 79}" for number in range(9)]
    scores = customers().assign(value_tier=np.array(tiers)[np.arange(200) % 9])
    counts = pd.DataFrame(np.diag(np.r_[1000, [1] * 8]), tiers, tiers)
    many = Moves(counts=counts, since=AS_OF - timedelta(days=7), until=AS_OF)
    rates = fairness().assign(attribute=letter * 80)
    file = tmp_path / "report.html"
    text = page(report(project=letter * 200, tier_names=tiers, customers=scores, moves=many, fairness=rates))
    file.write_text(text, encoding="utf-8")
    assert_shown_well(file, width=390)


def test_dark_screens_get_a_dark_page_whose_plots_are_legible(
    english: str, tmp_path: Path, assert_shown_well: Callable[..., None], browser: Any
) -> None:
    file = tmp_path / "report.html"
    file.write_text(english, encoding="utf-8")
    seen = {}
    for scheme in ("light", "dark"):
        assert_shown_well(file, width=1280, scheme=scheme)
        style = "getComputedStyle(document.querySelector('{}')).{}"
        seen[scheme] = [
            browser.value(style.format("body", "backgroundColor")),
            browser.value(style.format("svg text", "fill")),
        ]
    assert seen == {
        "light": ["rgb(255, 255, 255)", "rgb(27, 31, 36)"],
        "dark": ["rgb(20, 23, 27)", "rgb(228, 232, 236)"],
    }


def test_paper_gets_dark_letters_on_white_and_nothing_is_cut_off(
    english: str, tmp_path: Path, assert_shown_well: Callable[..., None], browser: Any
) -> None:
    file = tmp_path / "report.html"
    file.write_text(english, encoding="utf-8")
    assert_shown_well(file, width=690, scheme="dark", media="print")
    assert browser.value("getComputedStyle(document.querySelector('svg text')).fill") == "rgb(0, 0, 0)"
    cut = (
        "[...document.querySelectorAll('.wide')].filter(one => one.scrollWidth > one.clientWidth + 1).length"
    )
    assert browser.value(cut) == 0


def test_what_users_wrote_is_text_and_never_markup(english: str) -> None:
    assert "<img" not in english
    assert english.count("&lt;img src=x onerror=alert(1)&gt;") > 20
    assert "Key &lt;accounts&gt; &amp; co" in english


def test_the_page_names_no_address_of_the_web(english: str) -> None:
    assert not re.search(r'(src|href)="(?!data:,|#)', english)
    assert "//" not in english.replace("</", "")


def test_each_part_that_is_missing_is_said_in_a_sentence() -> None:
    text = page(bare())
    for name in SECTIONS:
        assert f'<p class="note">{TABLE["en"][name]["none"]}</p></section>'.replace("'", "&#x27;") in text
    assert "<svg" not in text
    assert "<table" not in text


def test_a_run_without_value_and_frames_without_rows_leave_their_sections_empty() -> None:
    nothing = report(
        customers=customers().assign(expected_value=np.nan),
        funnel=funnel().head(0),
        retention=retention().head(0),
        lost=lost().head(0),
        fairness=fairness().head(0),
        effect=effect()[effect()["measure"] == "customers"],
    )
    text = page(nothing)
    for name in ("saving", "funnel", "retention", "lost", "fairness", "effect"):
        assert TABLE["en"][name]["none"] in text
    assert TABLE["en"]["tiers"]["none"] not in text


def test_tiers_stand_in_their_order_with_their_shares(english: str) -> None:
    assert rows(english, "tiers")[1:] == [
        ["Key <accounts> & co", "67", "33.5%", "2,303", "33.4%", "34"],
        ["重要客户", "67", "33.5%", "2,320", "33.6%", "35"],
        ["low", "66", "33.0%", "2,277", "33.0%", "34"],
    ]


def test_a_labelled_table_tells_neither_days_nor_value() -> None:
    scores = customers().assign(expected_value=np.nan)
    text = page(report(customers=scores, facts={"model": "blend", "setting": "labelled"}))
    assert "Run june of model version 3, as of 2024-06-01 00:00 UTC." in text
    assert rows(text, "tiers")[0] == ["tier", "customers", "share of customers"]
    assert "share of expected value" not in text
    assert "Forecasts reach" not in text


def test_moves_stand_best_tier_first_with_who_is_new_and_gone(english: str) -> None:
    # counted by the alphabet: Key, low, 重要客户, and (new) or (gone)
    assert rows(english, "moves")[:5] == [
        ["from", "Key <accounts> & co", "重要客户", "low", "gone"],
        ["Key <accounts> & co", "0", "2", "1", "3"],
        ["重要客户", "8", "10", "9", "11"],
        ["low", "4", "6", "5", "7"],
        ["new", "12", "14", "13", "15"],
    ]
    assert "<dt>moved up</dt><dd>18</dd>" in english
    assert "<dt>moved down</dt><dd>12</dd>" in english


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


def test_cohorts_stand_with_their_rates_and_intervals(english: str) -> None:
    assert rows(english, "funnel") == [
        ["cohort", "prospect to first order", "first order to repeat", "lapsing to lost"],
        ["2023-01", *["25% (14%\N{EN DASH}40%)"] * 3],
        ["2023-02", *["25% (14%\N{EN DASH}40%)"] * 3],
    ]


def test_those_with_most_to_lose_stand_first_with_their_reason(english: str) -> None:
    first, *others = rows(english, "saving")[1:]
    # 49 + 10 over 1 less the risk, times the risk
    assert first == [
        f"{MARKUP}199",
        "重要客户",
        "first time",
        "99.5%",
        "11,800",
        "11,741",
        "last order 100 days ago: raises the churn risk",
    ]
    assert len(others) == 19


def test_each_measure_of_a_tier_stands_above_that_of_the_run_before(english: str) -> None:
    assert rows(english, "effect")[1:] == [
        ["customers", "2024-06-01", "1,200", "1,200", "1,200"],
        ["", "2024-05-25, the run before", "600", "600", "600"],
        ["bought again", "2024-06-01", "50.0%", "50.0%", "50.0%"],
        ["", "2024-05-25, the run before", "25.0%", "25.0%", "25.0%"],
    ]


def test_groups_that_are_treated_worse_are_named(english: str) -> None:
    told = (
        "Beyond the limit, by more than chance: gender men, in tier Key &lt;accounts&gt; &amp; co; gender men"
    )
    assert told in english
    men = rows(english, "fairness")[2]
    assert men[3:] == ["380", "10.0% (5.0%\N{EN DASH}15.0%)", "0.33 (0.23\N{EN DASH}0.43)", "yes"]
    quiet = page(bare(fairness=fairness().assign(alert=False), tier_names=TIERS))
    assert TABLE["en"]["fairness"]["quiet"] in quiet


def test_whom_to_win_back_first_stands_on_top_and_who_is_back_is_left_out(english: str) -> None:
    assert [row[1] for row in rows(english, "lost")] == ["customer", "y", "x"]
    assert "The first 2 of 2" in english
    assert "<dt>lost</dt><dd>2</dd>" in english


def test_the_model_card_tells_its_training_its_grade_and_its_measures(english: str) -> None:
    card = rows(english, "model")
    assert ["grade", "B"] in card
    assert ["trained as of", "2024-06-01"] in card
    assert ["trees", ".800 (.700\N{EN DASH}.900)"] in card
    assert TABLE["en"]["model"]["unjudged"] in page(bare(facts=report().facts))


def test_both_languages_say_the_same_messages() -> None:
    english, chinese = (
        {(section, name) for section, told in TABLE[each].items() for name in told} for each in ("en", "zh")
    )
    places = re.compile(r"\{(\w+)")
    assert english - chinese == set()
    for section, name in english & chinese:
        told = [sorted(places.findall(TABLE[each][section][name])) for each in ("en", "zh")]
        assert told[0] == told[1], (section, name)


def test_no_english_sentence_is_left_on_the_chinese_page(page_in: Callable[[str], str]) -> None:
    assert latin_runs(page_in("zh"), MARKUP, TIERS[0], "gender") == []
    assert latin_runs(page_in("en"), MARKUP, TIERS[0], "gender")
    assert rows(page_in("zh"), "quality")[-1] == [
        *("订单（orders）", "ordered_at", "不是1900至2200年间的时间", "3", "0.3%", MARKUP, "已隔离")  # noqa: RUF001
    ]
    assert "客户自身历史频率" in page_in("zh")
    assert '<td class="text">访问</td>' in page_in("zh")


def test_what_a_treatment_brought_stands_with_its_interval_and_what_it_comes_to(english: str) -> None:
    told = rows(english, "treatments")
    assert [row[0] for row in told] == [
        *("treatment", "call", MARKUP, "care"),
        *("treatment", "call", MARKUP, "care"),
        *("treatment", "care: Key <accounts> & co") * 2,
    ]
    assert told[2][5] == "9.00 (7.00 \N{EN DASH} 11.00)"
    assert told[6][1:] == ["4.00", "5.00 (3.00 \N{EN DASH} 7.00)", DASH, DASH, "0.002"]
    for sentence in (
        "brought 9.00 per treated customer (95% interval 7.00 to 11.00) at a cost of 4.00, and paid for",
        "care brought 1.00 per treated customer (95% interval -1.00 to 3.00) at a cost of 4.00, and did not",
        "call: nobody was held out",
        "2,040 of 2,190 assignments are over",
        "care: enough is known.",
        "care: 150 assignments are not over yet",
        "care: these outcomes were looked at 2 times while they came in",
        "call: the propensity of 40 assignments is not known",
        "care: 7 customers who were held out were given it",
        "1 groups are compared, and chance alone makes about 0.05 of them",
        "3 rows name a customer whom the campaign has already",
        "1 rows have a propensity that is no probability",
    ):
        assert sentence in english


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


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_rule_that_leaves_a_customer_alone_has_its_words(language: str) -> None:
    chosen = {"nobody", "beaten", "not_worth", "losing", "unknown"}
    assert {*RULES, *chosen} <= TABLE[language]["plan"].keys()


def test_a_plan_of_nothing_is_shown_too() -> None:
    idle = replace(a_plan(), totals=a_plan().totals[2:], limits={})
    assert rows(page(bare(plan=idle)), "plan")[1:3] == [
        ["together", "0", "0", "0", "0", f"0 (0{DASH}0)", ""],
        ["nothing", "836", *[""] * 5],
    ]
