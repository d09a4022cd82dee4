"""Problem documents (RFC 9457): what was wrong with a request, in one sentence with the remedy."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.responses import Response

from features.configuration import nearest
from serving.customer_history import ROWS

MEDIA_TYPE = "application/problem+json"
SHOWN = 60

_TYPES = {
    "string_type": "is no text; write it in quotes",
    "string_too_short": "is empty; give a text",
    "string_pattern_mismatch": "is blank; give a text",
    "float_type": "is no number; write it without quotes, with a decimal point",
    "finite_number": "is no finite number; leave out what is not known",
    "bool_type": "is neither true nor false",
    "list_type": "is no list; write [...]",
    "model_type": "is no object; write {...}",
    "model_attributes_type": "is no object; write {...}",
    "greater_than_equal": "is below -90 billion",
    "less_than_equal": "is beyond 90 billion",
}


class Problem(Exception):  # noqa: N818 - a word of the standard
    """What went wrong with one request.

    Parameters
    ----------
    status
        Of the answer.
    detail
        One sentence: the place, the value, the remedy.
    headers
        Further headers of the answer.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.detail = detail
        self.headers = dict(headers or {})

    @property
    def document(self) -> dict[str, Any]:
        """The document; its type says that the status tells it all."""
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }

    @property
    def response(self) -> Response:
        """The answer."""
        body = json.dumps(self.document, ensure_ascii=False)
        return Response(body, self.status, headers=self.headers, media_type=MEDIA_TYPE)


def problem_of(invalid: ValidationError, model: type[BaseModel]) -> Problem:
    """Tell what is wrong with a body that is no such model: the first error, in plain words."""
    error = invalid.errors(include_url=False)[0]
    if error["type"] == "json_invalid":
        reason = error["ctx"]["error"]
        return Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {reason}; send one JSON object")
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, _sentence(error, model))


def shown(value: object) -> str:
    """Write a value of a request as JSON, cut when long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    place = _place(error["loc"])
    if error["type"] == "missing":
        return f"{place} is missing; it is required"
    if error["type"] == "extra_forbidden":
        known = (model if len(error["loc"]) == 1 else ROWS[str(error["loc"][0])]).model_fields
        return f"there is no field {place}; {nearest(str(error['loc'][-1]), known)}"
    if error["type"] == "too_long":
        count, most = error["ctx"]["actual_length"], error["ctx"]["max_length"]
        return f"{place} has {count} entries, and {most} is the most; send fewer"
    words = _TYPES.get(error["type"], error["msg"].removeprefix("Value error, "))
    return f"{place} = {shown(error['input'])} {words}"


def _place(loc: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".") or "the body"
