from collections.abc import Callable

import pytest

from features import contract
from features.errors import InputError
from features.instants import parse_as_of
from features.quality import Counts, Finding
from features.records import canonical_rows

ORDERS = '[sources.orders]\npath = "o.csv"\n'


def orders(connection: object, *columns: str) -> list[tuple]:
    return connection.execute(f"SELECT {', '.join(columns)} FROM orders ORDER BY line").fetchall()  # type: ignore[attr-defined]


def test_the_amount_is_quantity_times_unit_price_where_none_is_given(staged: Callable) -> None:
    text = (
        "customer_id,ordered_at,amount,quantity,unit_price\n"
        "a,2011-01-01,7,2,3\n"
        "a,2011-01-01,,2,3\n"
        "a,2011-01-01,,-0.5,0.0003\n"
        "a,2011-01-01,,80995,1000000.0001\n"
        "a,2011-01-01,,90000000000,90000000000\n"
        "a,2011-01-01,,two,3\n"
        "a,2011-01-01,7,two,3\n"
        "a,2011-01-01,,2,\n"
    )
    connection, quality = staged(ORDERS, o_csv=text)
    assert orders(connection, "amount", "quantity") == [
        (70_000, 20_000),
        (60_000, 20_000),
        (-2, -5_000),
        (809_950_000_080_995, 809_950_000),
        (70_000, None),
    ]
    assert quality.counts["orders"] == Counts(rows_in=8, used=5, quarantined=3, merged=0)
    assert {(f.column, f.rule, f.rows, f.action) for f in quality.findings} == {
        ("quantity", "is not a number of at most 90 billion", 1, "quarantined"),
        ("amount", "is missing", 1, "quarantined"),
        ("amount", "is beyond 90 billion (quantity x unit price)", 1, "quarantined"),
        ("quantity", "is not a number of at most 90 billion", 1, "read as null"),
    }


def test_a_negative_quantity_at_no_price_is_written_off(staged: Callable) -> None:
    connection, _ = staged(
        ORDERS, o_csv="customer_id,ordered_at,quantity,unit_price\na,2011-01-01,-3,0\na,2011-01-01,3,0\n"
    )
    assert orders(connection, "amount", "is_return") == [(0, 1), (0, 0)]
    line = {"customer_id": "a", "ordered_at": parse_as_of("2011-01-01"), "unit_price": 0.0}
    rows = canonical_rows(contract.ORDERS, [line | {"quantity": -3.0}, line | {"quantity": 3.0}], "UTC")
    place = list(contract.ORDERS.staged).index("is_return")
    assert [row[place] for row in rows] == [1, 0]


def test_a_return_is_negative_whatever_its_sign(staged: Callable) -> None:
    text = (
        "customer_id,ordered_at,amount,quantity,is_return\n"
        "a,2011-01-01,5,1,yes\na,2011-01-01,-5,-1,yes\na,2011-01-01,-5,1,no\na,2011-01-01,-5,1,\na,2011-01-01,5,1,?\n"
    )
    connection, quality = staged(ORDERS, o_csv=text)
    assert orders(connection, "amount / 10000", "quantity / 10000", "is_return") == [
        (-5, -1, 1),
        (-5, -1, 1),
        (-5, 1, 0),
        (-5, 1, 1),
        (5, 1, 0),
    ]
    assert quality.findings == [
        Finding("orders", "is_return", "is not yes or no", 1, 0.2, "?", "read as null"),
        Finding("orders", "amount", "is positive though the line is a return", 1, 0.2, "5", "sign turned"),
    ]


def test_rows_become_known_at_their_event_unless_told_otherwise(staged: Callable) -> None:
    text = "customer_id,ordered_at,amount,ingested_at\na,2011-01-01,5,2011-01-03\na,2011-01-01,5,soon\n"
    connection, quality = staged(ORDERS, o_csv=text)
    assert orders(connection, "(ingested_at - ordered_at) / 86400000000") == [(2,), (0,)]
    assert [f.rule for f in quality.findings] == ["is not a time between 1900 and 2200"]


def test_days_are_those_of_the_project_and_times_those_of_the_source(staged: Callable) -> None:
    project = '[project]\ntime_zone = "Asia/Shanghai"\n'
    source = ORDERS + 'time_zone = "Europe/London"\n'
    text = "customer_id,ordered_at,amount\na,1970-07-01 16:59,5\na,2011-07-01 16:59,5\na,2011-07-01 17:00,5\n"
    connection, _ = staged(project + source, o_csv=text)
    assert orders(connection, "day") == [(181,), (15_156,), (15_157,)]
    assert connection.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_excluded_lines_are_counted_by_rule(staged: Callable) -> None:
    rules = "exclude.product_id = ['POST', 'gift_*', '*5%']\n"
    text = "customer_id,ordered_at,amount,product_id\n" + "".join(
        f"a,2011-01-01,5,{product}\n"
        for product in ("POST", "POSTER", "gift_1", "gift1", "gift_", "95%", "post")
    )
    _, quality = staged(ORDERS + rules, o_csv=text)
    assert [(f.rule, f.rows, f.example, f.action) for f in quality.findings] == [
        ("is excluded: POST", 1, "POST", "left out of orders"),
        ("is excluded: gift_*", 2, "gift_", "left out of orders"),
        ("is excluded: *5%", 1, "95%", "left out of orders"),
    ]


CUSTOMERS = ORDERS + '[sources.customers]\npath = "c*.csv"\n'
ONE = "customer_id,ordered_at,amount\na,2011-01-01,5\n"


def test_attributes_hold_what_all_their_values_are(staged: Callable) -> None:
    text = (
        "customer_id,joined_at,age,zip,vip,both,note,empty\n"
        "a,2011-01-01,41,01234,Yes,1,x,\nb,,,99999,no,0,7,\n"
    )
    connection, _ = staged(CUSTOMERS, o_csv=ONE, c_csv=text)
    described = {name: kind for name, kind, *_ in connection.execute("DESCRIBE customers").fetchall()}
    assert described == {
        "customer_id": "VARCHAR",
        "joined_at": "BIGINT",
        "valid_from": "BIGINT",
        "age": "DOUBLE",
        "zip": "VARCHAR",
        "vip": "BIGINT",
        "both": "DOUBLE",
        "note": "VARCHAR",
        "empty": "VARCHAR",
    }
    assert connection.execute('SELECT age, zip, vip, "both" FROM customers').fetchall() == [
        (41, "01234", 1, 1),
        (None, "99999", 0, 0),
    ]


def test_the_last_row_of_a_customer_counts(staged: Callable) -> None:
    first, second = "customer_id,city\na,Rome\nb,Bonn\nb,Bonn\n", "customer_id,city\na,Oslo\nc,Riga\n"
    connection, quality = staged(CUSTOMERS, o_csv=ONE, c1_csv=first, c2_csv=second)
    assert connection.execute("SELECT customer_id, city FROM customers ORDER BY 1").fetchall() == [
        ("a", "Oslo"),
        ("b", "Bonn"),
        ("c", "Riga"),
    ]
    assert quality.counts["customers"] == Counts(rows_in=5, used=3, quarantined=0, merged=2)
    assert [(f.rule, f.rows) for f in quality.findings] == [
        ("the same row of a customer again", 1),
        ("another row of a customer, not the same", 1),
    ]


def test_a_customer_may_change_over_time(staged: Callable) -> None:
    text = "customer_id,valid_from,city\na,2011-01-01,Rome\na,2012-01-01,Oslo\n"
    _, quality = staged(CUSTOMERS, o_csv=ONE, c_csv=text)
    assert quality.counts["customers"].used == 2


def test_the_other_tables_are_staged_alike(staged: Callable) -> None:
    configuration = ORDERS + "".join(
        f'[sources.{name}]\npath = "{name}.csv"\n'
        for name in ("interactions", "feedback", "contracts", "treatments")
    )
    connection, quality = staged(
        configuration,
        o_csv=ONE,
        interactions_csv="customer_id,occurred_at,kind,value\na,2011-01-01,visit,1.5\na,2011-01-01,,2\n",
        feedback_csv="customer_id,occurred_at,kind,score,resolved_at\na,2011-01-01,complaint,3,9999-12-31\n",
        contracts_csv="customer_id,started_at,fee\na,2011-01-01,9.99\n",
        treatments_csv="customer_id,assigned_at,treatment,is_holdout\na,2011-01-01,coupon,true\n",
    )
    assert {name: counts.used for name, counts in quality.counts.items()} == dict.fromkeys(quality.counts, 1)
    assert [(f.table, f.column, f.rule) for f in quality.findings] == [
        ("interactions", "kind", "is missing"),
        ("feedback", "resolved_at", "is not a time between 1900 and 2200"),
    ]
    assert connection.execute("SELECT fee, ingested_at = started_at FROM contracts").fetchall() == [
        (99_900, True)
    ]
    assert connection.execute("SELECT is_holdout FROM treatments").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "customer_id,ordered_at,amount\na,01/02/2011,5\nb,03/02/2011,5\n",
            r"no row can be used; in 2 of 2 ordered_at is not a time .* '01/02/2011'\); check .* time_format",
        ),
        ("customer_id,ordered_at\n", "has no column 'amount'.*or those of quantity and unit_price"),
    ],
)
def test_a_source_without_a_usable_row_is_refused(staged: Callable, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        staged(ORDERS, o_csv=text)


def test_what_a_log_of_treatments_does_not_say_is_told(staged: Callable) -> None:
    log = '[sources.treatments]\npath = "t.csv"\n'
    text = (
        "customer_id,assigned_at,treatment,is_holdout,cost\n"
        "a,2011-01-01,call,0.0,-5\na,2011-01-02,call,,5\na,2011-01-03,call,?,\n"
    )
    connection, quality = staged(ORDERS + log, o_csv=ONE, t_csv=text)
    told = connection.execute("SELECT is_holdout, cost FROM treatments ORDER BY assigned_at").fetchall()
    assert told == [(0, None), (None, 50_000), (None, None)]
    assert [(f.column, f.rule, f.rows, f.action) for f in quality.findings] == [
        ("is_holdout", "is not yes or no", 1, "read as null"),
        ("is_holdout", "is missing", 1, "read as null"),
        ("cost", "is negative", 1, "read as null"),
    ]
