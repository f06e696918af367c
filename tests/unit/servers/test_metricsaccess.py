"""/metrics where it asks who reads it: who gets in, and what is told to others."""

import pytest
from support.console import Page, elsewhere, never, request

from extender.core.model.access import PathRight, User
from extender.core.model.errors import ApiError, Forbidden, Unauthenticated
from extender.servers.asgi import Message
from extender.servers.metricsaccess import GuardedMetrics


class PathGuard:
    """Knows what Prometheus shows, and lets it get /metrics."""

    def __init__(self) -> None:
        self.away = False

    async def allow(self, token: str, attributes: PathRight) -> User:
        assert str(attributes) == 'get path "/metrics"'
        if self.away:
            raise ApiError("POST /tokenreviews: https://10.0.0.1: no answer")
        if token not in ("prometheus", "joe"):
            raise Unauthenticated("no token was given" if not token else "the API server does not accept the token")
        if token == "joe":  # noqa: S105 - it opens nothing
            raise Forbidden(f'user "joe" cannot {attributes}')
        return User(token)


async def get(path: str, *headers: tuple[str, str], door: PathGuard | None = None, method: str = "GET") -> Page:
    page = Page()

    async def send(message: Message) -> None:
        page.take(message)

    app = GuardedMetrics(elsewhere, door or PathGuard(), lambda _source, _text: None)
    given = [(name.encode(), value.encode()) for name, value in headers]
    await app(request(path, method, *given), never, send)
    return page


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_whoever_may_gets_them(scheme: str) -> None:
    page = await get("/metrics", ("authorization", f"{scheme} prometheus"))
    assert (page.status, page.text) == (200, "elsewhere\n")


@pytest.mark.parametrize(
    ("header", "status", "text"),
    [
        ("", 401, "no token was given\n"),
        ("Basic prometheus", 401, "no token was given\n"),
        ("Bearer stale", 401, "the API server does not accept the token\n"),
        ("Bearer joe", 403, 'user "joe" cannot get path "/metrics"\n'),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_nobody_else_does(method: str, header: str, status: int, text: str) -> None:
    page = await get("/metrics", *([("authorization", header)] if header else []), method=method)
    assert (page.status, page.text) == (status, text)
    assert ("www-authenticate" in page.headers) == (status == 401)


async def test_nobody_does_while_nobody_can_be_asked() -> None:
    door = PathGuard()
    door.away = True
    page = await get("/metrics", ("authorization", "Bearer prometheus"), door=door)
    assert (page.status, page.headers["retry-after"], "10.0.0.1" in page.text) == (503, "5", False)


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz", "/console", "/metrics/"])
async def test_other_paths_ask_nothing(path: str) -> None:
    assert (await get(path)).text == "elsewhere\n"
