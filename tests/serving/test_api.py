import asyncio
from typing import Any

import httpx
import pytest

from features.contract import FEEDBACK, INTERACTIONS, ORDERS
from serving.api import Desk, customer_api
from serving.customer_history import ROWS
from serving.database import StoreError


class Fails:
    """Answers nothing."""

    grid: tuple[float, ...] = ()

    def __init__(self, error: Exception) -> None:
        self._error = error

    def customer(self, _: str) -> None:
        raise self._error

    def row(self, _: object, **__: object) -> None:
        raise self._error


def ask(
    method: str, path: str, *, error: Exception, token: str | None = None, **request: Any
) -> httpx.Response:
    """Ask an API whose every answer fails."""
    api = customer_api(token=token)
    api.state.desk = Desk(Fails(error), Fails(error))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(api, raise_app_exceptions=False)

    async def answer() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.request(method, path, **request)

    return asyncio.run(answer())


TOKEN = "secret"  # noqa: S105 - a made-up one
LOCKED = StoreError("store 'store.db' is locked; wait")


def test_a_store_that_cannot_be_used_is_unavailable() -> None:
    answer = ask("GET", "/v1/customers/Ada", error=LOCKED)
    assert answer.status_code == answer.json()["status"] == 503
    assert answer.json()["detail"] == "store 'store.db' is locked; wait"


def test_a_fault_of_ours_shows_nothing_of_itself() -> None:
    history = {"customer": {"customer_id": "Ada"}}
    answer = ask("POST", "/v1/predict", error=RuntimeError("in the engine room"), json=history)
    assert answer.status_code == answer.json()["status"] == 500
    assert "engine room" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("sent", [None, "Bearer other", "Bearer", "Basic secret", "secret"])
def test_without_the_token_nothing_is_told(sent: str | None) -> None:
    headers = {} if sent is None else {"Authorization": sent}
    answer = ask("GET", "/v1/customers/Ada", error=LOCKED, token=TOKEN, headers=headers)
    assert answer.status_code == answer.json()["status"] == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_opens() -> None:
    headers = {"Authorization": "bearer secret"}
    assert ask("GET", "/v1/customers/Ada", error=LOCKED, token=TOKEN, headers=headers).status_code == 503
    assert ask("GET", "/openapi.json", error=LOCKED, token=TOKEN).status_code == 200


@pytest.mark.parametrize("table", [ORDERS, INTERACTIONS, FEEDBACK], ids=lambda table: table.name)
def test_a_request_has_the_columns_of_the_contract(table: Any) -> None:
    assert ["customer_id", *ROWS[table.name].model_fields] == sorted(
        table.columns, key=["customer_id", *ROWS[table.name].model_fields].index
    )
