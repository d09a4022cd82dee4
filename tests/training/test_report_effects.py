from tests.training.whole_report import MARKUP, rows
from training.report_words import DASH


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
