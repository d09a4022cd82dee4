"""The documentation of the customer API: an OpenAPI document of what is ours."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving.customer_history import Batch, CustomerHistory
from serving.problems import MEDIA_TYPE

REFERENCE = "#/components/schemas/{model}"

REASONS = {
    "name": "reasons",
    "in": "query",
    "description": "Whether to tell what moved the forecasts; it takes longer than the forecast itself.",
    "schema": {"type": "boolean", "default": False},
}
CUSTOMER = {"name": "customer_id", "in": "path", "required": True, "schema": {"type": "string"}}


def documentation() -> dict[str, Any]:
    """Write the OpenAPI document."""
    _, bodies = models_json_schema(
        [(CustomerHistory, "validation"), (Batch, "validation")], ref_template=REFERENCE
    )
    predict = {
        "summary": "Forecast one customer from its history",
        "parameters": [REASONS],
        "requestBody": _body(CustomerHistory),
        "responses": _answers("A row of the output table.", 400, 413, 415, 422),
    }
    predict_batch = {
        "summary": "Forecast many customers, each for itself",
        "parameters": [REASONS],
        "requestBody": _body(Batch),
        "responses": _answers("In the same order a row or a problem document each.", 400, 413, 415, 422),
    }
    customer = {
        "summary": "Look up a customer's row of the latest published run, and what the latest plan does",
        "parameters": [CUSTOMER],
        "responses": _answers("A row of the output table, and as plan a row of the plan.", 404, 503),
    }
    standings = {
        "summary": "Look up which tiers and stages a customer was in, from when to when, and why",
        "parameters": [CUSTOMER],
        "responses": _answers("The periods, oldest first by kind.", 404, 503),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tierwise",
            "summary": "Which customers will come back, and what each is worth.",
            "version": "1",
        },
        "paths": {
            "/v1/predict": {"post": predict},
            "/v1/predict/batch": {"post": predict_batch},
            "/v1/customers/{customer_id}": {"get": customer},
            "/v1/standings/{customer_id}": {"get": standings},
        },
        "components": {"schemas": bodies["$defs"]},
    }


def _body(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _answers(good: str, *problems: int) -> dict[str, dict[str, Any]]:
    described: dict[str, dict[str, Any]] = {
        "200": {"description": good, "content": {"application/json": {"schema": {"type": "object"}}}}
    }
    for status in problems:
        described[str(status)] = {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {}}}
    return described
