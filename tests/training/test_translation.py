# ruff: noqa: RUF001 - Chinese
import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import duckdb
import pytest

from features.configuration import Configuration
from features.contract import TABLES
from features.forecast_settings import ForecastSettings
from features.parsing import WHAT
from features.quality import Finding
from features.staging import stage
from training.cross_validation import BASE_RATE, PLAIN_TREES, REGRESSION
from training.evaluation import MEASURES, Gain
from training.gate import SO_FAR
from training.grade import graded
from training.labelled import MODEL
from training.recipes import contestants
from training.translation import PARTS, SENTENCES, translated
from training.untreated import MADE, Undone

ROOT = Path(__file__).parents[2]
TREATMENT = "vip care"
PLACE = re.compile(r"\{(\w+)\}")
ORDERS = """\
customer_id,ordered_at,product_id,amount,quantity,unit_price,is_return,discount
a,2024-01-01,tea,5,,,no,
,2024-01-01,tea,5,,,no,
a,soon,tea,5,,,no,
a,2024-01-02,tea,5,,,yes,
a,2024-01-02,tea,5,,,maybe,much
a,2024-01-02,tea,,90000000000,90000000000,no,
a,2024-01-02,tea,,two,3,no,
a,2024-01-02,tea,,,,no,
a,2024-01-02,post,1,,,no,
"too,many
"""
CONTRACTS = """\
customer_id,started_at,ended_at,renews_at,fee
a,2024-01-01,,2023-01-01,-5
a,2024-01-01,2023-01-01,,5
"""
CUSTOMERS = "customer_id,valid_from,town\na,2024-01-01,Rom\na,2024-01-01,Rom\na,2024-01-01,Ulm\n"
SOURCES = """\
[sources.orders]
path = "orders*.csv"
exclude.product_id = ["post"]
[sources.customers]
path = "customers.csv"
[sources.contracts]
path = "contracts.csv"
"""


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """What is found in sources where all is wrong that can be."""
    folder = tmp_path_factory.mktemp("soiled")
    texts = {"orders1": ORDERS, "orders2": ORDERS, "contracts": CONTRACTS, "customers": CUSTOMERS}
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    (folder / "tierwise.toml").write_text(SOURCES)
    with duckdb.connect(config={"threads": 1}) as connection:
        return stage(Configuration.read(folder / "tierwise.toml", environ={}), connection).findings


def test_all_that_is_found_in_sources_is_said_in_chinese(findings: list[Finding]) -> None:
    said = {text for finding in findings for text in (finding.rule, finding.action)}
    assert len(said) > 15
    for text in said | {f"is not {what}" for what in WHAT.values()}:
        assert is_chinese(text, "post", "started_at"), text
    for table in TABLES:
        assert is_chinese(table, table)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("signs", list(product((-1, 0, 1), repeat=2)))
def test_every_grade_says_why_in_chinese(signs: tuple[int, int], known: bool) -> None:
    gains = [
        Gain(metric, "model", "LightGBM, defaults", sign / 10, *limits)
        for metric, sign in zip(("log_loss", "gini"), signs, strict=True)
        for limits in [(sign / 10 - 0.01, sign / 10 + 0.01) if known else (None, None)]
    ]
    assert is_chinese(graded(gains).reason)


def test_a_reason_keeps_its_figures() -> None:
    gains = [
        Gain("log_loss", "m", "own past rate", 0.1, 0.05, 0.15),
        Gain("gini", "m", "BG/NBD", 0.1, -0.1, 0.3),
    ]
    assert translated(graded(gains).reason, "zh") == (
        "两项指标中只有一项显著优于所有基准：对数损失相对客户自身历史频率的改善为+0.1000（95%区间+0.0500至+0.1500）；"
        "基尼系数相对BG/NBD的改善为+0.1000（95%区间-0.1000至+0.3000）"
    )


@pytest.mark.parametrize(("share", "adds", "outcome"), list(product((None, 0.0, 0.4), (True, False), MADE)))
def test_what_was_undone_of_treatments_is_said_in_chinese(
    share: float | None, adds: bool, outcome: str
) -> None:
    one = Undone(TREATMENT, 1200, 300, 20, adds, share, 7).told(outcome)
    taught = (
        "7 rows teach what a customer held out did instead, so that the forecast is that without treatment"
    )
    note = f"treatments: {taught}; {one}; {one}"
    assert translated(note, "zh").count(TREATMENT) == 2
    assert is_chinese(note, TREATMENT)


def test_measures_and_models_have_chinese_names() -> None:
    models = {*contestants(ForecastSettings(), seed=0), MODEL, SO_FAR, BASE_RATE, PLAIN_TREES, REGRESSION}
    for name in models - {"Pareto/NBD", "BG/NBD"}:
        assert is_chinese(name, "RFM"), name
    for measure in MEASURES.values():
        assert is_chinese(measure.title, "Tweedie") or measure.title == "AUC"


def test_what_a_user_wrote_stays_as_it_is() -> None:
    for text in ("Our best customers", "left over", "{place}", ""):
        assert translated(text, "zh") == text
    assert translated("is excluded: is missing", "zh") == "属于排除项：is missing"
    assert translated("is missing", "en") == "is missing"


def test_both_languages_have_the_same_places() -> None:
    for sentence in SENTENCES:
        assert sorted(PLACE.findall(sentence["en"])) == sorted(PLACE.findall(sentence["zh"]))
    assert {*PARTS} <= {place for sentence in SENTENCES for place in PLACE.findall(sentence["en"])}


def test_every_sentence_is_one_that_the_code_says() -> None:
    said = "\n".join(texts())
    for sentence in SENTENCES:
        for piece in re.split(r"\{\w+\}|[,:;()]", sentence["en"]):
            assert piece.strip() in said, sentence["en"]


def is_chinese(text: str, *names: str) -> bool:
    """Whether a text is said in Chinese, and keeps nothing in Latin letters but names."""
    told = translated(text, "zh")
    for name in (*names, "LightGBM", "BG/NBD"):
        told = told.replace(name, "")
    return told != text and not re.search("[A-Za-z]", told)


def texts() -> Iterator[str]:
    """Yield all texts in the code of the three rooms."""
    for room in ("features", "models", "training"):
        for file in (ROOT / room).glob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
