import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.latin import latin_runs
from tests.training.whole_report import (
    AS_OF,
    MARKUP,
    TIERS,
    bare,
    customers,
    effect,
    fairness,
    funnel,
    lost,
    report,
    retention,
    rows,
)
from training.report import Moves
from training.report_page import SECTIONS, page
from training.report_words import TABLE


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


def test_a_labelled_table_tells_neither_days_nor_value() -> None:
    scores = customers().assign(expected_value=np.nan)
    text = page(report(customers=scores, facts={"model": "blend", "setting": "labelled"}))
    assert "Run june of model version 3, as of 2024-06-01 00:00 UTC." in text
    assert rows(text, "tiers")[0] == ["tier", "customers", "share of customers"]
    assert "share of expected value" not in text
    assert "Forecasts reach" not in text


def test_no_english_sentence_is_left_on_the_chinese_page(page_in: Callable[[str], str]) -> None:
    assert latin_runs(page_in("zh"), MARKUP, TIERS[0], "gender") == []
    assert latin_runs(page_in("en"), MARKUP, TIERS[0], "gender")
    assert rows(page_in("zh"), "quality")[-1] == [
        *("订单（orders）", "ordered_at", "不是1900至2200年间的时间", "3", "0.3%", MARKUP, "已隔离")  # noqa: RUF001
    ]
    assert "客户自身历史频率" in page_in("zh")
    assert '<td class="text">访问</td>' in page_in("zh")
