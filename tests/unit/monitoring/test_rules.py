"""The rules by promtool: they are well-formed, and every alert fires when it should and not before."""

import subprocess
from typing import Any

import pytest
import yaml
from programs import ROOT, prometheus

pytestmark = [pytest.mark.tools, pytest.mark.timeout(600)]

FOLDER = ROOT / "deploy" / "prometheus"
RULES, TESTS = FOLDER / "rules.yaml", FOLDER / "rules_test.yaml"


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        [str(prometheus() / "promtool"), *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_well_formed() -> None:
    assert "SUCCESS" in promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))


def test_alerts_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(TESTS))


def test_every_alert_is_seen_firing_and_silent() -> None:
    cases: list[dict[str, Any]] = [
        case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test.get("alert_rule_test", ())
    ]
    alerts = {
        rule["alert"] for g in yaml.safe_load(RULES.read_text())["groups"] for rule in g["rules"] if "alert" in rule
    }
    for fires in (True, False):
        assert {case["alertname"] for case in cases if bool(case["exp_alerts"]) is fires} == alerts
