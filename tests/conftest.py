"""What holds for all tests: how they run side by side, how long one may take, how many examples are tried."""

import gc
import os
import signal
from typing import Any

import pytest
from support.examples import register_profiles
from support.lanes import Units, considerate, give_way, lanes, unit_of
from support.lastwords import last_words
from support.patience import Patience

register_profiles()

UNIT = pytest.StashKey[str]()
"""What this lane runs: see `unit_of`."""

# No test trusts the authorities of the machine, which aiohttp loads in each process: a tenth of the start of a command.
os.environ["SSL_CERT_FILE"] = os.devnull

# What tests make is small beside what was loaded and collected, which would be looked through time and again.
gc.set_threshold(10_000, 20, 50)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return lanes(config.option.markexpr)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Units:
    return Units(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where there are lanes the longest come first: the folders that share, then others on a control plane.

    The quick ones fill the gaps.
    """

    def place(item: pytest.Item) -> tuple[bool, bool, str]:
        unit = unit_of(item.nodeid)
        return item.get_closest_marker("controlplane") is None, unit.endswith(".py"), unit

    if hasattr(config, "workerinput"):
        items.sort(key=place)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """Start nothing costly before it is this lane's turn; whoever sets a test's limit is called later."""
    unit = unit_of(item.nodeid)
    number = considerate(os.environ.get("PYTEST_XDIST_WORKER", ""))
    if number and unit != item.config.stash.get(UNIT, "") and item.get_closest_marker("controlplane") is not None:
        give_way(number)
    item.config.stash[UNIT] = unit
    return (yield)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:  # noqa: ARG001 - pytest's signature
    """Have a failure tell what the processes that the test ran with wrote last."""
    report = yield
    if report.failed and item.get_closest_marker("controlplane") is not None:
        report.sections += last_words()
    return report


def pytest_timeout_set_timer(item: Any, settings: Any) -> bool:
    """A test's limit, in seconds that stretch on a slow machine."""
    patience = Patience(settings.timeout)

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def tick(*_: object) -> None:
        if patience.left() <= 0:
            item.config.pluginmanager.getplugin("timeout").timeout_sigalrm(item, settings)
        else:
            wait()

    def wait() -> None:
        # Set anew once it was looked at: to look may take longer than that, and must not be interrupted by itself.
        signal.setitimer(signal.ITIMER_REAL, 1.0)

    item.cancel_timeout = cancel
    signal.signal(signal.SIGALRM, tick)
    wait()
    return True
