"""Log lines: what each has, in which shape, and where."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from extender.core.model.foreign import plain
from extender.telemetry.logs import configure, logger, show_from


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


def test_what_is_empty_is_left_out_and_lines_begin_alike(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    logger().info("decision", pod="a", class_="spot", node="", reason=None, passed=0, dry=False)
    text = capsys.readouterr().err
    line = json.loads(text)
    assert list(line) == ["timestamp", "level", "event", "pod", "class", "passed", "dry"]
    assert (line["class"], line["passed"], line["dry"]) == ("spot", 0, False)


def test_on_a_terminal_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "console")
    logger().info("decision", pod="a", class_="spot", node="")
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)
    assert re.search(r"decision +pod=a class=spot$", text.rstrip())


def test_the_keys_of_a_trace_are_on_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json", lambda: {"trace_id": "0af7", "span_id": "b7ad"})
    logger().info("decision", pod="a")
    logging.getLogger("aiohttp").warning("cut")
    assert [(line["trace_id"], line["span_id"]) for line in lines(capsys)] == [("0af7", "b7ad")] * 2


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


EVIL = "a\x1b[2J\x9b31m\u202e\u200b\x07\x85\u2028\n[error] forged"
SHOWN = r"a\x1b[2J\x9b31m\u202e\u200b\x07\x85\u2028\n[error] forged"


class Foreign:
    def __repr__(self) -> str:
        return EVIL


@pytest.mark.parametrize("style", ["console", "json"])
def test_foreign_text_is_shown_and_obeyed_by_no_terminal(
    style: Literal["console", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info", style, lambda: {"trace_id": EVIL})
    logger().info(EVIL, pod=EVIL, parts=[EVIL, {EVIL: (EVIL,)}], odd=Foreign(), **{EVIL: 1})
    logging.getLogger("uvicorn").warning("%s cut", EVIL)
    try:
        dict[Foreign, int]()[Foreign()]
    except KeyError:
        logger().exception("fault")
        logging.getLogger("uvicorn").exception("fault of a library")
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)
    assert not [each for each in text if not plain(each) and each != "\n"]
    # Both write a backslash in a value as two.
    assert text.replace("\\\\", "\\").count(SHOWN.partition("\\n")[0]) >= 10
    assert not [line for line in text.splitlines() if line.startswith("[error] forged")]


def test_long_texts_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    logger().info("decision", pod="x" * 15_000_000)
    [line] = lines(capsys)
    assert line["pod"].endswith("characters more)")
    assert len(line["pod"]) < 3000


def test_the_level_changes_for_loggers_that_somebody_keeps(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning", "json")
    kept = logger()
    kept.warning("before")
    kept.info("not shown")
    show_from("debug")
    kept.debug("after")
    show_from("error")
    kept.warning("not shown")
    logging.getLogger("uvicorn.error").warning("not shown")
    assert [line["event"] for line in lines(capsys)] == ["before", "after"]
