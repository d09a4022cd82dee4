from tests.training.whole_report import TIERS, bare, fairness, report, rows
from training.report_page import page
from training.report_words import TABLE


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


def test_the_model_card_tells_its_training_its_grade_and_its_measures(english: str) -> None:
    card = rows(english, "model")
    assert ["grade", "B"] in card
    assert ["trained as of", "2024-06-01"] in card
    assert ["trees", ".800 (.700\N{EN DASH}.900)"] in card
    assert TABLE["en"]["model"]["unjudged"] in page(bare(facts=report().facts))
