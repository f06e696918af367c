"""Reads what `spotmix simulate` is given, and runs it."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from extender.cli.textfile import STDIN, read_text
from extender.core.model.classes import SPOT
from extender.core.model.errors import ConfigError
from extender.core.policy.values import parse_duration
from extender.settings import Settings
from extender.settings.load import settings_of
from extender.simulate.build import build
from extender.simulate.report import Report
from extender.simulate.run import run
from extender.simulate.scenario import ClassPart, Reclaim, Scenario, parse_scenario, parse_share
from extender.simulate.snapshot import Snapshot, parse_snapshot


class Request(Struct, frozen=True):
    """The command line of `spotmix simulate`."""

    file: str
    seed: int | None = None
    snapshot: str = ""
    duration: str | None = None
    prices: tuple[str, ...] = ()
    reclaim: str | None = None
    stock: bool = False


def perform(request: Request, progress: Callable[[float], None]) -> Report:
    """Simulate.

    Raises:
        ConfigError: a file or flag is wrong; it names which, the field, the value seen and the fix.
        WireError: the snapshot is none.
    """
    origin = "standard input" if request.file == STDIN else request.file
    scenario = _with_flags(parse_scenario(read_text(request.file), origin), request)
    settings = settings_of(scenario.settings, f"{origin}: settings")
    seed = scenario.seed if request.seed is None else request.seed
    snapshot = _snapshot(request.snapshot, settings) if request.snapshot else None
    built = build(scenario, settings, origin, seed=seed, snapshot=snapshot, stock=request.stock)
    return run(built, seed, progress)


def exit_code(report: Report) -> int:
    """1 when an eviction of ours broke a floor, else 0."""
    return 1 if report.floor_broken_by_us else 0


def _snapshot(file: str, settings: Settings) -> Snapshot:
    origin = "standard input" if file == STDIN else file
    return parse_snapshot(read_text(file).encode(), origin, settings.classes, settings.policy.prefixes)


def _with_flags(scenario: Scenario, request: Request) -> Scenario:
    """The scenario, with what flags say instead."""
    classes = dict(scenario.classes)
    for text in request.prices:
        name, _, price = text.partition("=")
        try:
            value = float(price)
        except ValueError:
            value = -1.0
        if not name or not 0 <= value < float("inf"):
            raise ConfigError(f"flag --price: {text!r} is no price; write CLASS=PRICE, such as spot=0.06")
        classes[name] = replace(classes.get(name, ClassPart()), price=value)
    if request.reclaim is not None:
        try:
            parse_share("flag --reclaim", request.reclaim)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        before = classes.get(SPOT, ClassPart())
        classes[SPOT] = replace(before, reclaim=replace(before.reclaim or Reclaim(), per_hour=request.reclaim))
    if request.duration is not None:
        try:
            seconds = parse_duration(request.duration)
        except ValueError as error:
            raise ConfigError(f"flag --duration: {request.duration!r} {error.args[0]}; {error.args[1]}") from error
        if not seconds:
            raise ConfigError("flag --duration: 0 is nothing to simulate; write how long, such as 24h")
    return replace(scenario, classes=classes, duration=request.duration or scenario.duration)
