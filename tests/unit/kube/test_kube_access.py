"""Who asks and whether they may: what the API server is asked, how often, and what is told to whoever is refused."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from support.doubles_kube import refusal
from support.doubles_servers import run_virtually

from extender.core.model.access import GROUP, Attributes, PathRight, User, get_workload, list_nodes, list_workloads
from extender.core.model.errors import ApiError, Forbidden, Unauthenticated
from extender.kube.access import (
    ACCESS_REVIEWS,
    ALLOWED_SECONDS,
    ANSWER_SECONDS,
    BURST,
    DENIED_SECONDS,
    LONGEST,
    MOST_ASKED,
    MOST_KEPT,
    RATE,
    TOKEN_REVIEWS,
    Access,
)
from extender.kube.seams import Timing

JANE = User("jane", "7", ("readers", "system:authenticated"), (("example.com/team", ("shop",)),))
WORKLOADS = list_workloads("shop")


class Reviewer:
    """An API server that knows tokens and rights, and takes a tenth of a second to say so."""

    def __init__(self) -> None:
        self.users = {"jane-token": JANE}
        self.rights = {("jane", "list", "workloads", "shop")}
        self.fault: ApiError | None = None
        self.silent = False
        self.says = "[invalid bearer token, token lookup failed]"
        self.seen: list[tuple[str, Any]] = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        assert (method, params, content_type) == ("POST", None, "application/json")
        assert isinstance(body, Mapping)
        self.seen.append((path, body["spec"]))
        await asyncio.sleep(0.1)
        if self.silent:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        answer = {TOKEN_REVIEWS: self._token, ACCESS_REVIEWS: self._access}[path]
        return json.dumps({"status": answer(body["spec"])}).encode()

    def _token(self, spec: Any) -> dict[str, Any]:
        user = self.users.get(spec["token"])
        if user is None:
            return {"error": self.says}
        extra = {key: list(values) for key, values in user.extra}
        info = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": extra}
        return {"authenticated": True, "user": info}

    def _access(self, spec: Any) -> dict[str, Any]:
        if "nonResourceAttributes" in spec:
            path = spec["nonResourceAttributes"]
            return {"allowed": (spec["user"], path["verb"], path["path"], "") in self.rights}
        asked = spec["resourceAttributes"]
        right = (spec["user"], asked["verb"], asked["resource"], asked.get("namespace", ""))
        return {"allowed": right in self.rights}

    def asked(self, path: str) -> int:
        return sum(seen == path for seen, _ in self.seen)


class AccessBench:
    """Made within a virtual loop."""

    def __init__(self) -> None:
        self.api = Reviewer()
        self.access = Access(self.api, timing=Timing(clock=asyncio.get_running_loop().time))

    async def refusal(self, token: str, attributes: Attributes = WORKLOADS) -> str:
        """What the one who is refused is told."""
        with pytest.raises((Unauthenticated, Forbidden, ApiError)) as caught:
            await self.access.allow(token, attributes)
        assert token == "" or token not in str(caught.value)
        return f"{caught.typename}: {caught.value}"


def test_both_questions_are_asked_in_full() -> None:
    async def main() -> None:
        bench = AccessBench()
        assert await bench.access.allow("jane-token", WORKLOADS) == JANE
        assert bench.api.seen == [
            (TOKEN_REVIEWS, {"token": "jane-token"}),
            (
                ACCESS_REVIEWS,
                {
                    "user": "jane",
                    "uid": "7",
                    "groups": ["readers", "system:authenticated"],
                    "extra": {"example.com/team": ["shop"]},
                    "resourceAttributes": {
                        "group": GROUP,
                        "verb": "list",
                        "resource": "workloads",
                        "namespace": "shop",
                    },
                },
            ),
        ]

    run_virtually(main)


def test_who_is_refused_is_told_why() -> None:
    async def main() -> None:
        bench = AccessBench()
        assert "Unauthenticated: no token was given" in await bench.refusal("")
        for odd in ("two words", "t\n", "tökén", "x" * (LONGEST + 1)):
            assert "this is no token" in await bench.refusal(odd)
        assert bench.api.seen == []
        assert (
            await bench.refusal("stale")
            == "Unauthenticated: the API server does not accept the token: [invalid bearer token, token lookup failed]"
        )
        assert await bench.refusal("jane-token", get_workload("shop", "cart")) == (
            'Forbidden: user "jane" cannot get resource "workloads" "cart" in API group "placement.spotmix.io" '
            'in the namespace "shop"'
        )
        assert (await bench.refusal("jane-token", list_nodes())).endswith("in all namespaces")

    run_virtually(main)


def test_a_token_in_what_the_api_server_says_is_left_out() -> None:
    async def main() -> None:
        bench = AccessBench()
        bench.api.says = "no such token: leaked"
        assert (await bench.refusal("leaked")).endswith("no such token: …")
        bench.api.fault = ApiError("400 BadRequest: {spec: {token: leaked-too}}", status=400)
        assert await bench.refusal("leaked-too") == "ApiError: 400 BadRequest: {spec: {token: …}}"

    run_virtually(main)


def test_answers_are_kept_for_a_while() -> None:
    async def main() -> None:
        bench = AccessBench()
        for _ in range(3):
            await bench.access.allow("jane-token", WORKLOADS)
        assert len(bench.api.seen) == 2
        # The right goes first, the account after it.
        bench.api.rights.clear()
        await asyncio.sleep(ALLOWED_SECONDS - 1.0)
        await bench.access.allow("jane-token", WORKLOADS)
        await asyncio.sleep(1.5)
        assert "Forbidden" in await bench.refusal("jane-token")
        bench.api.users.clear()
        await asyncio.sleep(ALLOWED_SECONDS + 1.0)
        assert "Unauthenticated" in await bench.refusal("jane-token")

    run_virtually(main)


def test_a_refusal_is_kept_shorter() -> None:
    async def main() -> None:
        bench = AccessBench()
        await bench.refusal("new-token")
        bench.api.users["new-token"] = JANE
        await asyncio.sleep(DENIED_SECONDS - 1.0)
        await bench.refusal("new-token")
        assert bench.api.asked(TOKEN_REVIEWS) == 1
        await asyncio.sleep(1.5)
        assert await bench.access.who("new-token") == JANE

    run_virtually(main)


def test_equal_questions_are_asked_once_at_a_time() -> None:
    async def main() -> None:
        bench = AccessBench()
        first = asyncio.create_task(bench.access.allow("jane-token", WORKLOADS))
        others = [asyncio.create_task(bench.access.allow("jane-token", WORKLOADS)) for _ in range(20)]
        await asyncio.sleep(0.05)
        # Whoever asked first leaves; the others lose nothing by it.
        first.cancel()
        assert await asyncio.gather(*others) == [JANE] * 20
        assert (bench.api.asked(TOKEN_REVIEWS), bench.api.asked(ACCESS_REVIEWS)) == (1, 1)

    run_virtually(main)


def test_tokens_are_told_apart() -> None:
    async def main() -> None:
        bench = AccessBench()
        bench.api.users["joe-token"] = User("joe")
        await bench.access.allow("jane-token", WORKLOADS)
        assert 'user "joe" cannot' in await bench.refusal("joe-token")

    run_virtually(main)


def test_an_api_server_that_is_away_lets_nobody_in() -> None:
    async def main() -> None:
        bench = AccessBench()
        await bench.access.allow("jane-token", WORKLOADS)
        await asyncio.sleep(ALLOWED_SECONDS + 1.0)
        bench.api.fault = refusal(0, "no answer")
        assert await bench.refusal("jane-token") == "ApiError: 0 no answer"
        # That is no answer, and is not remembered as one.
        bench.api.fault = None
        assert await bench.access.allow("jane-token", WORKLOADS) == JANE
        await asyncio.sleep(ALLOWED_SECONDS + 1.0)
        bench.api.silent = True
        started = asyncio.get_running_loop().time()
        assert f"no answer within {ANSWER_SECONDS:.0f} s" in await bench.refusal("jane-token")
        assert asyncio.get_running_loop().time() - started == pytest.approx(ANSWER_SECONDS)

    run_virtually(main)


@pytest.mark.parametrize("body", [b"<html>", b'{"status": {"authenticated": "perhaps"}}'])
def test_an_answer_that_does_not_decode_lets_nobody_in(body: bytes) -> None:
    class Odd(Reviewer):
        async def request(self, method: str, path: str, **given: Any) -> bytes:
            await super().request(method, path, **given)
            return body

    async def main() -> None:
        bench = AccessBench()
        bench.access = Access(Odd())
        assert "the TokenReview does not decode" in await bench.refusal("jane-token")

    run_virtually(main)


@pytest.mark.parametrize(
    "status", [{}, {"authenticated": True}, {"user": {"username": "jane"}}, {"authenticated": True, "user": {}}]
)
def test_half_an_answer_lets_nobody_in(status: Any) -> None:
    class Half(Reviewer):
        def _token(self, _spec: Any) -> dict[str, Any]:
            return dict(status)

    async def main() -> None:
        bench = AccessBench()
        bench.access = Access(Half())
        assert "Unauthenticated" in await bench.refusal("jane-token")

    run_virtually(main)


def test_wrong_tokens_do_not_push_out_right_ones_and_are_forgotten() -> None:
    async def main() -> None:
        bench = AccessBench()
        bench.access = Access(bench.api, timing=Timing(clock=lambda: 0.0, sleep=lambda _: asyncio.sleep(0)))
        await bench.access.allow("jane-token", WORKLOADS)
        for number in range(MOST_KEPT + 10):
            await bench.refusal(f"junk-{number}")
        asked = bench.api.asked(TOKEN_REVIEWS)
        await bench.access.allow("jane-token", WORKLOADS)
        await bench.refusal(f"junk-{MOST_KEPT}")
        assert bench.api.asked(TOKEN_REVIEWS) == asked
        # The oldest had to go.
        await bench.refusal("junk-0")
        assert bench.api.asked(TOKEN_REVIEWS) == asked + 1

    run_virtually(main)


def test_questions_have_a_rate_and_a_number_that_may_wait() -> None:
    async def main() -> None:
        bench = AccessBench()
        loop = asyncio.get_running_loop()
        told = await asyncio.gather(*(bench.refusal(f"junk-{number}") for number in range(MOST_ASKED + 50)))
        assert sum("as many questions of access as may be" in text for text in told) == 50
        assert bench.api.asked(TOKEN_REVIEWS) == MOST_ASKED
        assert loop.time() >= (MOST_ASKED - BURST) / RATE
        # And after that there is room again.
        assert await bench.access.allow("jane-token", WORKLOADS) == JANE

    run_virtually(main)


def test_a_right_to_a_path_is_asked_for_as_kubernetes_components_do() -> None:
    async def main() -> None:
        bench = AccessBench()
        bench.api.rights.add(("jane", "get", "/metrics", ""))
        access = bench.access
        assert await access.allow("jane-token", PathRight("get", "/metrics")) == JANE
        path, spec = bench.api.seen[-1]
        assert (path, spec["nonResourceAttributes"]) == (ACCESS_REVIEWS, {"verb": "get", "path": "/metrics"})
        assert "resourceAttributes" not in spec
        with pytest.raises(Forbidden, match='user "jane" cannot get path "/other"'):
            await access.allow("jane-token", PathRight("get", "/other"))

    run_virtually(main)
