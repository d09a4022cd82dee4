import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

ADA = {"customer_id": "Ada"}
ORDER = {"ordered_at": "2024-01-01", "amount": 3}
MEGABYTE = b" " * 2**20


def predict(service: httpx.Client, history: Any, **params: str) -> httpx.Response:
    return service.post("/v1/predict", json=history, params=params)


def detail(answer: httpx.Response, status: int) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert problem.keys() == {"type", "title", "status", "detail"}
    return str(problem["detail"])


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return list(one) == list(other) and all(
        value == (pytest.approx(other[name], rel=1e-9) if isinstance(value, float) else other[name])
        for name, value in one.items()
    )


def test_a_live_answer_is_the_row_that_the_run_published(service: httpx.Client, served_shop: Any) -> None:
    for customer_id in served_shop.shop.customers["customer_id"][:60]:
        published = service.get(f"/v1/customers/{customer_id}").json()
        live = predict(service, served_shop.history(customer_id), reasons="true").json()
        assert published["run_id"] is not None
        assert published.pop("plan") is None
        assert same(live, published | {"run_id": None, "tier_changed_at": None})


def test_reasons_are_told_when_they_are_asked_for(service: httpx.Client, served_shop: Any) -> None:
    history = served_shop.history(served_shop.shop.orders["customer_id"][0])
    assert predict(service, history).json()["reasons"] is None
    reasons = predict(service, history, reasons="true").json()["reasons"]
    assert {"target", "theme", "feature", "value", "effect", "text", "actionable"} == reasons[0].keys()
    batch = service.post("/v1/predict/batch", json={"items": [history]}, params={"reasons": "true"})
    assert batch.json()["items"][0]["reasons"] == reasons
    assert "neither true nor false" in detail(predict(service, history, reasons="1"), 422)


def test_what_lies_after_as_of_changes_nothing(service: httpx.Client, served_shop: Any) -> None:
    history = served_shop.history(served_shop.shop.orders["customer_id"][0])
    known = predict(service, history).json()
    history["orders"].append({"ordered_at": history["as_of"], "amount": 1e6})
    assert predict(service, history).json() == known


def test_a_customer_without_an_order_has_no_forecast(service: httpx.Client) -> None:
    row = predict(service, {"customer": ADA, "as_of": "2024-01-01"}).json()
    assert (row["customer_id"], row["as_of"]) == ("Ada", "2024-01-01T00:00:00Z")
    assert row["churn_risk"] is row["churn_risk_percentile"] is row["clv"] is row["confidence"] is None


def test_times_without_an_offset_are_utc_and_an_amount_is_quantity_times_price(service: httpx.Client) -> None:
    line = {"ordered_at": "2024-01-01T12:00:00", "quantity": 3, "unit_price": 2.5}
    same_line = {"ordered_at": "2024-01-01T14:00:00+02:00", "amount": 7.5, "quantity": 3, "unit_price": 9}
    answers = [
        predict(service, {"customer": ADA, "as_of": "2024-02-01", "orders": [order]}).json()
        for order in (line, same_line)
    ]
    assert answers[0] == answers[1]
    assert answers[0]["historic_value"] == 7.5
    assert answers[0]["confidence"] == "C"


@pytest.mark.parametrize(
    ("history", "sentence"),
    [
        ({}, "customer is missing"),
        ([], "the body = [] is no object"),
        ({"customer": ADA, "ordrs": []}, "no field ordrs; did you mean 'orders'?"),
        ({"customer": ADA, "orders": [ORDER | {"amout": 1}]}, "orders[0].amout; did you mean 'amount'?"),
        ({"customer": ADA, "orders": {}}, "orders = {} is no list"),
        ({"customer": ADA, "orders": [ORDER, 5]}, "orders[1] = 5 is no object"),
        ({"customer": ADA, "orders": [{"amount": 3}]}, "orders[0].ordered_at is missing"),
        ({"customer": ADA, "orders": [{"ordered_at": "2024-01-01"}]}, "has no amount; give amount, or"),
        ({"customer": ADA, "orders": [ORDER | {"amount": "3"}]}, 'orders[0].amount = "3" is no number'),
        ({"customer": ADA, "orders": [ORDER | {"amount": True}]}, "orders[0].amount = true is no number"),
        ({"customer": ADA, "orders": [ORDER | {"amount": 1e12}]}, "is beyond 90 billion"),
        ({"customer": ADA, "orders": [ORDER | {"is_return": 1}]}, "orders[0].is_return = 1 is neither"),
        ({"customer": ADA, "orders": [ORDER | {"ordered_at": "31/02/2024"}]}, "is no time between 1900 and"),
        ({"customer": ADA, "orders": [ORDER | {"ordered_at": 1704067200}]}, "is no time between 1900 and"),
        ({"customer": ADA, "feedback": [{"occurred_at": "2024-01-01"}]}, "feedback[0].kind is missing"),
        ({"customer": ADA, "as_of": "9999-01-01"}, 'as_of = "9999-01-01" is no time'),
        ({"customer": {"customer_id": 17850}}, "customer.customer_id = 17850 is no text"),
        ({"customer": {"customer_id": " "}}, "is blank"),
        ({"customer": ADA | {"region": 5}}, "customer.region = 5 is no text, as the model or a tier reads"),
        ({"customer": ADA | {"age": [5]}}, "customer.age = [5] is no text, number"),
        ({"customer": ADA, "orders": [ORDER | {"amount": 9e10}] * 20_000}, "more than can be counted"),
        ({"customer": ADA, "orders": [ORDER] * 20_001}, "orders has 20001 entries, and 20000 is the most"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(
    service: httpx.Client, history: Any, sentence: str
) -> None:
    assert sentence in detail(predict(service, history), 422)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(service: httpx.Client, number: str) -> None:
    body = json.dumps({"customer": ADA, "orders": [ORDER]}).replace("3", number)
    answer = service.post("/v1/predict", content=body, headers={"Content-Type": "application/json"})
    assert "orders[0].amount" in detail(answer, 422)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"a": 1}}', b"\xff\xfe", b'{"customer": {"customer_id": "\\ud800"}}']
)
def test_what_is_no_json_is_refused(service: httpx.Client, body: bytes) -> None:
    answer = service.post("/v1/predict", content=body, headers={"Content-Type": "application/json"})
    assert "is not JSON" in detail(answer, 400)


def test_other_types_paths_and_methods_are_refused(service: httpx.Client) -> None:
    assert "send JSON" in detail(service.post("/v1/predict", data={"a": "b"}), 415)
    for path in ("/", "/docs", "/redoc", "/v1", "/v1/nothing"):
        assert f"nothing at {path};" in detail(service.get(path), 404)
    answer = service.get("/v1/predict")
    assert "use POST" in detail(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_a_large_body_is_refused_before_it_is_read(service: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    for content in (MEGABYTE * 64, (MEGABYTE for _ in range(64))):
        assert "larger than 16 MB" in detail(
            service.post("/v1/predict", content=content, headers=headers), 413
        )
    assert predict(service, {"customer": ADA}).status_code == 200


def test_a_batch_answers_each_item_for_itself_and_in_order(service: httpx.Client, served_shop: Any) -> None:
    ids = list(served_shop.shop.customers["customer_id"][:5])
    histories = [served_shop.history(customer_id) for customer_id in ids]
    items = service.post("/v1/predict/batch", json={"items": [*histories, {"customer": {}}, 5]}).json()[
        "items"
    ]
    assert items[:5] == [predict(service, history).json() for history in histories]
    assert [item["status"] for item in items[5:]] == [422, 422]
    assert items[5]["detail"].startswith("customer.customer_id is missing")


def test_a_batch_has_its_limit(service: httpx.Client) -> None:
    answer = service.post("/v1/predict/batch", json={"items": [5] * 501})
    assert "items has 501 entries, and 500 is the most" in detail(answer, 422)


def test_an_unknown_customer_is_not_found(service: httpx.Client) -> None:
    assert "has no customer 'Nobody/5'" in detail(service.get("/v1/customers/Nobody%2F5"), 404)


def test_where_a_customer_stood_is_told_by_kind(service: httpx.Client, served_shop: Any) -> None:
    customer_id = served_shop.shop.orders["customer_id"][0]
    row = service.get(f"/v1/customers/{customer_id}").json()
    told = service.get(f"/v1/standings/{customer_id}").json()
    assert [(each["kind"], each["name"]) for each in told["periods"]] == [
        ("lifecycle_stage", row["lifecycle_stage"]),
        ("value_tier", row["value_tier"]),
    ]
    assert {each["run_id"] for each in told["periods"]} == {row["run_id"]}
    assert "no published run has placed a customer 'Nobody'" in detail(
        service.get("/v1/standings/Nobody"), 404
    )


def test_requests_at_once_do_not_mix(service: httpx.Client, served_shop: Any) -> None:
    ids = list(served_shop.shop.customers["customer_id"][:20])
    histories = [served_shop.history(customer_id) for customer_id in ids]
    expected = [predict(service, history).json() for history in histories]

    def ask_all(_: int) -> list[Any]:
        return [predict(service, history).json() for history in histories]

    with ThreadPoolExecutor(8) as pool:
        assert all(answers == expected for answers in pool.map(ask_all, range(8)))


def test_the_service_says_that_it_lives_and_counts_without_naming_customers(service: httpx.Client) -> None:
    assert service.get("/livez").status_code == service.get("/readyz").status_code == 200
    service.get("/v1/customers/Ada-Lovelace")
    counts = service.get("/metrics").text
    assert 'route="/v1/customers/{customer_id:path}",status="404"' in counts
    assert "Lovelace" not in counts


def test_the_documentation_describes_what_is_ours(service: httpx.Client) -> None:
    described = service.get("/openapi.json").json()
    of_customer = {"/v1/customers/{customer_id}", "/v1/standings/{customer_id}"}
    assert set(described["paths"]) == {"/v1/predict", "/v1/predict/batch"} | of_customer
    assert "OrderLine" in described["components"]["schemas"]
