from tests.training.whole_report import MARKUP, rows


def test_tiers_stand_in_their_order_with_their_shares(english: str) -> None:
    assert rows(english, "tiers")[1:] == [
        ["Key <accounts> & co", "67", "33.5%", "2,303", "33.4%", "34"],
        ["重要客户", "67", "33.5%", "2,320", "33.6%", "35"],
        ["low", "66", "33.0%", "2,277", "33.0%", "34"],
    ]


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


def test_whom_to_win_back_first_stands_on_top_and_who_is_back_is_left_out(english: str) -> None:
    assert [row[1] for row in rows(english, "lost")] == ["customer", "y", "x"]
    assert "The first 2 of 2" in english
    assert "<dt>lost</dt><dd>2</dd>" in english
