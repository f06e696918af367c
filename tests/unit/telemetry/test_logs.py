import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from extender.telemetry.logs import configure, logger


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    logger().info("serving", port=8888, odd=object)
    logger().debug("not shown")
    [line] = lines(capsys)
    assert (line["event"], line["port"], line["level"]) == ("serving", 8888, "info")
    assert line["timestamp"].endswith("Z")


def test_libraries_warnings_come_in_the_same_shape(capsys: pytest.CaptureFixture[str]) -> None:
    configure("debug", "json")
    logging.getLogger("uvicorn.error").info("not shown")
    try:
        int("a bug")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in %s", "app")
    [line] = lines(capsys)
    assert (line["event"], line["level"]) == ("Exception in app", "error")
    assert "ValueError: invalid literal" in line["exception"]


def test_the_level_holds(capsys: pytest.CaptureFixture[str]) -> None:
    configure("error", "json")
    logger().warning("not shown")
    logging.getLogger("aiohttp").warning("not shown")
    logger().error("shown")
    assert [line["event"] for line in lines(capsys)] == ["shown"]


@pytest.mark.parametrize("style", ["console", "auto"])
def test_a_terminal_gets_lines_for_people(capsys: pytest.CaptureFixture[str], style: str) -> None:
    configure("info", "console" if style == "console" else "auto")
    logger().info("serving", port=8888)
    text = capsys.readouterr().err
    assert "serving" in text
    assert text.startswith("{") is (style == "auto")
