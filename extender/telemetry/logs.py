"""Structured logs on standard error: JSON for machines, coloured lines on a terminal."""

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Literal

from extender.core.model.foreign import shown, shown_lines, shown_within

# structlog loads rich where it can, to draw tracebacks that are never shown here: 80 ms and 3 MiB.
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]  # to Python, a module that cannot be had
try:
    import structlog
finally:
    del sys.modules["rich"]
    if _rich is not None:
        sys.modules["rich"] = _rich

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_level = LEVELS["info"]
_FIRST = ("timestamp", "level", "event")
_OF_LINES = ("exception", "stack")
Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]


def configure(level: Level, style: Format, trace: Callable[[], Mapping[str, str]] | None = None) -> None:
    """Set up structlog for the process, and let libraries' own warnings through in the same shape.

    Args:
        level: least severe level that is shown.
        style: of the lines.
        trace: gives the keys that say which trace a line belongs to; None while there are no traces.
    """
    show_from(level)
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        _severe_enough,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([_giving(trace)] if trace is not None else []),
        tidy,
    ]
    renderer = structlog.dev.ConsoleRenderer(sort_keys=False) if console else structlog.processors.JSONRenderer()
    # Right before it is written, so that nothing goes by. No line of a traceback may pass for one of the log.
    show = _visible("    " if console else "")
    finish: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, show, renderer]
    meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    structlog.configure(
        processors=[*shared, *finish],
        # Loggers are kept by whoever has one: what they show is decided line by line, so that it can change.
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS["debug"]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[meta, *finish], foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]


def show_from(level: Level) -> None:
    """Show lines that are at least as severe as `level` from now on; of libraries, warnings at least."""
    global _level  # noqa: PLW0603 - of the process, as structlog's own configuration is
    _level = LEVELS[level]
    logging.getLogger().setLevel(max(_level, logging.WARNING))


def _severe_enough(_logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if LEVELS.get(method, LEVELS["error"]) < _level:
        raise structlog.DropEvent
    return line


def _giving(keys: Callable[[], Mapping[str, str]]) -> structlog.typing.Processor:
    def give(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line.update(keys())
        return line

    return give


def tidy(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave out what is empty, have each line begin alike, and let `class_` stand for what Python reserves."""
    return {
        **{key: line.pop(key) for key in _FIRST if key in line},
        **{key.removesuffix("_"): value for key, value in line.items() if value is not None and value != ""},
    }


def _visible(indent: str) -> structlog.typing.Processor:
    """Show whatever text is in a line as foreign text; lines of tracebacks stay, and begin with `indent`."""

    def show(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        told: MutableMapping[str, Any] = {}
        for key, value in line.items():
            many = key in _OF_LINES and isinstance(value, str)
            told[shown(key)] = shown_lines(value).replace("\n", f"\n{indent}") if many else shown_within(value)
        return told

    return show


def logger() -> structlog.typing.FilteringBoundLogger:
    """The process's logger."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return bound
