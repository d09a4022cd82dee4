"""The customer API: its routes, and what it answers when something is wrong."""

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ExceptionHandler

from serving.customer_history import Batch, CustomerHistory
from serving.database import StoreError
from serving.documentation import documentation
from serving.guards import BodyLimit, Measured, TokenCheck, metrics
from serving.problems import Problem, problem_of, shown

if TYPE_CHECKING:
    from serving.prediction import Predictor
    from serving.published import Published

logger = logging.getLogger(__name__)
Model = TypeVar("Model", bound=BaseModel)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@dataclass(frozen=True)
class Desk:
    """What the routes answer from; the event loop's thread alone predicts.

    Parameters
    ----------
    predictor
        Answers stateless requests.
    published
        Answers from the latest run.
    """

    predictor: "Predictor"
    published: "Published"

    def predict(self, history: CustomerHistory, *, reasons: bool) -> dict[str, Any]:
        """Answer one stateless request."""
        now, peers = datetime.now(UTC), self.published.peers
        return self.predictor.row(history, now=now, peers=peers, reasons=reasons)


def customer_api(*, token: str | None) -> Starlette:
    """Build the API; ``state.desk`` is set where it runs.

    Parameters
    ----------
    token
        What every request below ``/v1`` must bring; null for none.
    """
    described = JSONResponse(documentation())

    async def openapi(_: Request) -> Response:
        return described

    check = [Middleware(TokenCheck, token=token)] if token else []
    return Starlette(
        routes=[
            Route("/v1/predict", predict, methods=["POST"]),
            Route("/v1/predict/batch", predict_batch, methods=["POST"]),
            Route("/v1/customers/{customer_id:path}", customer),
            Route("/v1/standings/{customer_id:path}", standings),
            Route("/metrics", metrics),
            Route("/openapi.json", openapi),
            Route("/{path:path}", nothing_there, methods=METHODS),
        ],
        middleware=[Middleware(Measured), *check, Middleware(BodyLimit)],
        exception_handlers=HANDLERS,
    )


async def predict(request: Request) -> Response:
    """Answer with a row of the output table."""
    reasons = _asks_for_reasons(request)
    history = await _read(request, CustomerHistory)
    return _json(_desk(request).predict(history, reasons=reasons))


async def predict_batch(request: Request) -> Response:
    """Answer each item with a row or a problem document, in the same order."""
    reasons = _asks_for_reasons(request)
    batch = await _read(request, Batch)
    desk = _desk(request)
    answers = []
    for item in batch.items:
        try:
            answers.append(desk.predict(CustomerHistory.model_validate(item), reasons=reasons))
        except ValidationError as error:
            answers.append(problem_of(error, CustomerHistory).document)
        except Problem as problem:
            answers.append(problem.document)
        await asyncio.sleep(0)  # others are answered between two items
    return _json({"items": answers})


async def customer(request: Request) -> Response:
    """Answer with the customer's row of the latest published run."""
    customer_id = request.path_params["customer_id"]
    row = await run_in_threadpool(_desk(request).published.customer, customer_id)
    if row is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            f"the latest published run has no customer '{customer_id}'; check the id, or score first",
        )
    return _json(row)


async def standings(request: Request) -> Response:
    """Answer with the tiers and stages that the customer was in, from when to when, and why."""
    customer_id = request.path_params["customer_id"]
    periods = await run_in_threadpool(_desk(request).published.periods, customer_id)
    if not periods:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            f"no published run has placed a customer '{customer_id}'; check the id, or score first",
        )
    return _json({"customer_id": customer_id, "periods": periods})


async def nothing_there(request: Request) -> Response:
    """Say that a path, or its method, is not served."""
    for route in request.app.routes:
        if route.matches(request.scope)[0] is Match.PARTIAL:
            allowed = ", ".join(sorted(route.methods))
            raise Problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{request.url.path} does not take {request.method}; use {allowed}",
                {"Allow": allowed},
            )
    raise Problem(
        HTTPStatus.NOT_FOUND, f"there is nothing at {request.url.path}; /openapi.json lists what there is"
    )


def _asks_for_reasons(request: Request) -> bool:
    asked = request.query_params.get("reasons", "false")
    if asked not in {"true", "false"}:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"reasons = {shown(asked)} is neither true nor false; give one"
        )
    return asked == "true"


async def _read(request: Request, model: type[Model]) -> Model:
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body is of type '{kind}'; send JSON with Content-Type: application/json",
        )
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise problem_of(error, model) from None


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _json(content: object) -> Response:
    return Response(_ENCODER.encode(content), media_type="application/json")


def _time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in an answer")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_time)


async def _as_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class
    return error.response


async def _store_fails(_: Request, error: Exception) -> Response:
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)).response


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    return Problem(error.status_code, str(error.detail)).response


async def _broken(request: Request, _: Exception) -> Response:
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"{request.method} {request.url.path} failed; the service's log has the reason",
    ).response


HANDLERS: dict[Any, ExceptionHandler] = {
    Problem: _as_problem,
    StoreError: _store_fails,
    HTTPException: _refused,
    Exception: _broken,
}
