import json
import re
import sqlite3
from collections.abc import Callable
from typing import Any

import pandas as pd

from tests.latin import latin_runs

Run = Callable[..., Any]


def test_the_page_tells_of_everybody_in_the_latest_run(shop: Any, run: Run) -> None:
    done = run("report", "-c", shop.file)
    assert done.code == 0, done
    page = shop.workspace / "report.html"
    assert done.out.endswith(f"the page: {page}\n")
    text = page.read_text(encoding="utf-8")
    with sqlite3.connect(shop.workspace / "store.db") as connection:
        tiers = dict(connection.execute("SELECT value_tier, count(*) FROM scores GROUP BY 1").fetchall())
        lost = connection.execute("SELECT count(*) FROM scores WHERE lifecycle_stage = 'lost'").fetchall()
    connection.close()
    assert f"<dt>customers</dt><dd>{sum(tiers.values())}</dd>" in text
    assert f"<dt>lost</dt><dd>{lost[0][0]}</dd>" in text
    for tier, customers in tiers.items():
        assert f'<tr><td class="text">{tier}</td><td>{customers}</td>' in text
    told = {
        "moves": False,
        "saving": True,
        "funnel": True,
        "retention": True,
        "model": True,
        "fairness": False,
    }
    for section, has_content in told.items():
        inside = text[text.index(f'<section id="{section}">') :]
        inside = inside[: inside.index("</section>")]
        assert ("<svg" in inside or "<table" in inside) == has_content, section
    assert "http" not in text


def test_a_later_run_tells_who_moved_and_what_the_tiers_of_the_first_were_good_for(
    shop: Any, run: Run
) -> None:
    with (shop.folder / "tierwise.toml").open("a") as file:
        file.write('[serving]\nlanguage = "zh"\n')
    later = run("score", "-c", shop.file, "--as-of", "2024-06-20", "--allow-stale")
    assert later.code == 0, later
    done = run("report", "-c", shop.file)
    assert done.code == 0, done
    text = (shop.workspace / "report.html").read_text(encoding="utf-8")
    assert '<html lang="zh">' in text
    assert "2024-02-05时客户所在的级别" in text
    assert "2024-06-20时的级别" in text
    effect = re.search(r'<section id="effect">.*?</section>', text, re.DOTALL)
    assert effect is not None
    # nothing was sold after the first run: nobody bought again
    assert '<td class="text">复购率</td><td class="text">2024-02-05</td><td>0.0%</td>' in effect[0]


def test_no_english_sentence_is_left_where_the_shop_speaks_chinese(shop: Any, run: Run) -> None:
    orders = shop.orders()
    soiled = orders.head(4).assign(
        customer_id=["", "a", "b", "c"], ordered_at=["2024-01-01", "soon", "", "0"]
    )
    shop.deliver(pd.concat([orders, soiled]))
    excluded = f'[sources.orders.exclude]\nproduct_id = ["{orders["product_id"][0]}"]\n'
    shop.configure(lambda text: f'{text}\n{excluded}[serving]\nlanguage = "zh"\n')
    done = run("report", "-c", shop.file)
    assert done.code == 0, done
    text = (shop.workspace / "report.html").read_text(encoding="utf-8")
    assert latin_runs(text, "corner shop") == []
    for found in ("缺失", "不是1900至2200年间的时间", "属于排除项", "已隔离", "最佳基准", "最近购买规则"):
        assert found in text
    assert "is missing" not in text


def test_without_a_run_there_is_nothing_to_tell(shop: Any, run: Run) -> None:
    (shop.workspace / "store.db").unlink()
    run("report", "-c", shop.file).assert_refused(
        "no run is published yet; a report needs one: tierwise score"
    )


def test_a_run_whose_model_is_gone_is_refused_in_a_sentence(shop: Any, run: Run) -> None:
    with sqlite3.connect(shop.workspace / "store.db") as connection:
        connection.execute("UPDATE runs SET model_version = '7'")
    connection.close()
    run("report", "-c", shop.file).assert_refused("has no model '7'")


def test_a_run_older_than_the_tiers_leaves_their_sections_empty(shop: Any, run: Run) -> None:
    with sqlite3.connect(shop.workspace / "store.db") as connection:
        (facts,) = connection.execute("SELECT facts FROM runs").fetchone()
        kept = {name: fact for name, fact in json.loads(facts).items() if name != "placement"}
        connection.execute("UPDATE runs SET facts = ?", [json.dumps(kept)])
        connection.execute("UPDATE scores SET value_tier = NULL, lifecycle_stage = NULL")
        connection.execute("DELETE FROM standings")
    connection.close()
    done = run("report", "-c", shop.file)
    assert done.code == 0, done
    text = (shop.workspace / "report.html").read_text(encoding="utf-8")
    assert "The run puts nobody into a tier; it is older than the tiers." in text
    assert 'id="saving"' in text
