"""What stands before every request: the limit of its body, its token, and the count of it."""

import hmac
from abc import ABC, abstractmethod
from http import HTTPStatus
from time import perf_counter

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import Problem

MOST_BYTES = 16 * 1024 * 1024
"""Of one body; it is refused as soon as it is known to be larger."""

PROTECTED = "/v1/"
SECONDS = Histogram(
    "tierwise_request_seconds",
    "Time until a request was answered, by method, route and status",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def _too_large() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {MOST_BYTES // 2**20} MB; send fewer histories at once",
    )


class Guard(ABC):
    """Stands before an application; what is no request passes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is no request."""
        handle = self._handle if scope["type"] == "http" else self._app
        await handle(scope, receive, send)

    @abstractmethod
    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""


class BodyLimit(Guard):
    """Refuse large bodies before they are read."""

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if int(announced) > MOST_BYTES:
            await _too_large().response(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST_BYTES:
                raise _too_large()
            return message

        await self._app(scope, counted, send)


class TokenCheck(Guard):
    """Let only those who bring the token to what is below ``/v1``.

    Parameters
    ----------
    token
        To stand in ``Authorization: Bearer TOKEN``.
    """

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        super().__init__(app)
        self._wanted = b"bearer " + token.encode()

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(PROTECTED) and not self._brings(scope):
            problem = Problem(
                HTTPStatus.UNAUTHORIZED,
                "the request brings no valid token; send Authorization: Bearer with the service's token",
                {"WWW-Authenticate": "Bearer"},
            )
            await problem.response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _brings(self, scope: Scope) -> bool:
        scheme, _, rest = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        return hmac.compare_digest(scheme.lower() + b" " + rest.strip(), self._wanted)


class Measured(Guard):
    """Count and time requests by route; BentoML's own counts go by path, which would hold customers' ids."""

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = perf_counter()
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "")  # none when a guard refused
            SECONDS.labels(scope["method"], route, status).observe(perf_counter() - start)


def metrics(_: Request) -> Response:
    """Answer with the counts of all workers, for Prometheus."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
