"""The customer API: its routes, its documentation, and what it answers when something is wrong."""

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.routing import Match

from serving.customer_history import Batch, CustomerHistory
from serving.database import StoreError
from serving.guards import BodyLimit, Measured, TokenCheck, metrics
from serving.problems import MEDIA_TYPE, Problem, problem_of

if TYPE_CHECKING:
    from serving.prediction import Predictor
    from serving.published import Published

logger = logging.getLogger(__name__)
Model = TypeVar("Model", bound=BaseModel)
REFERENCE = "#/components/schemas/{model}"
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

    def predict(self, history: CustomerHistory) -> dict[str, Any]:
        """Answer one stateless request."""
        return self.predictor.row(history, now=datetime.now(UTC), grid=self.published.grid)


def customer_api(*, token: str | None) -> FastAPI:
    """Build the API; ``state.desk`` is set where it runs.

    Parameters
    ----------
    token
        What every request below ``/v1`` must bring; null for none.
    """
    api = FastAPI(
        title="Tierwise",
        summary="Which customers will come back, and what each is worth.",
        docs_url=None,  # these pages load their scripts from the web
        redoc_url=None,
    )
    api.add_api_route(
        "/v1/predict",
        predict,
        methods=["POST"],
        summary="Forecast one customer from its history",
        openapi_extra=_body(CustomerHistory),
        responses=_answers("A row of the output table.", 400, 413, 415, 422),
    )
    api.add_api_route(
        "/v1/predict/batch",
        predict_batch,
        methods=["POST"],
        summary="Forecast many customers, each for itself",
        openapi_extra=_body(Batch),
        responses=_answers("In the same order a row or a problem document each.", 400, 413, 415, 422),
    )
    api.add_api_route(
        "/v1/customers/{customer_id:path}",
        customer,
        methods=["GET"],
        summary="Look up a customer's row of the latest published run",
        responses=_answers("A row of the output table.", 404, 503),
    )
    api.add_api_route("/metrics", metrics, methods=["GET"], include_in_schema=False)
    api.add_api_route("/{path:path}", nothing_there, methods=METHODS, include_in_schema=False)
    api.add_exception_handler(Problem, _as_problem)
    api.add_exception_handler(StoreError, _store_fails)
    api.add_exception_handler(HTTPException, _refused)
    api.add_exception_handler(Exception, _broken)
    api.add_middleware(BodyLimit)
    if token:
        api.add_middleware(TokenCheck, token=token)
    api.add_middleware(Measured)
    _describe(api)
    return api


async def predict(request: Request) -> Response:
    """Answer with a row of the output table."""
    history = await _read(request, CustomerHistory)
    return _json(_desk(request).predict(history))


async def predict_batch(request: Request) -> Response:
    """Answer each item with a row or a problem document, in the same order."""
    batch = await _read(request, Batch)
    desk = _desk(request)
    answers = []
    for item in batch.items:
        try:
            answers.append(desk.predict(CustomerHistory.model_validate(item)))
        except ValidationError as error:
            answers.append(problem_of(error, CustomerHistory).document)
        except Problem as problem:
            answers.append(problem.document)
        await asyncio.sleep(0)  # others are answered between two items
    return _json({"items": answers})


async def customer(customer_id: str, request: Request) -> Response:
    """Answer with the customer's row of the latest published run."""
    row = await run_in_threadpool(_desk(request).published.customer, customer_id)
    if row is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            f"the latest published run has no customer '{customer_id}'; check the id, or score first",
        )
    return _json(row)


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
    body = json.dumps(content, ensure_ascii=False, allow_nan=False, default=_time)
    return Response(body, media_type="application/json")


def _time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no place in an answer")


def _body(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _describe(api: FastAPI) -> None:
    """Put the bodies into the documentation, in place of FastAPI's own validation errors."""
    described = api.openapi()
    bodies = models_json_schema(
        [(CustomerHistory, "validation"), (Batch, "validation")], ref_template=REFERENCE
    )
    described["components"] = {"schemas": bodies[1]["$defs"]}
    for operations in described["paths"].values():
        for operation in operations.values():
            operation["responses"].get("422", {}).get("content", {}).pop("application/json", None)


def _answers(good: str, *problems: int) -> dict[int | str, dict[str, Any]]:
    described: dict[int | str, dict[str, Any]] = {200: {"description": good}}
    for status in problems:
        described[status] = {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {}}}
    return described


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
