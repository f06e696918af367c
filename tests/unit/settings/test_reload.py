"""What a running process takes up of a changed configuration, and what needs a restart."""

from pathlib import Path

import pytest

from extender.core.model.errors import ConfigError
from extender.settings import LEAVES, ConfigSource, Settings, load_settings, reload_settings, render_settings


def settings(**environ: str) -> Settings:
    return load_settings(environ={f"SPOTMIX_{name.upper()}": value for name, value in environ.items()})


def test_what_can_change_counts_at_once_and_the_rest_stays_and_is_named() -> None:
    wanted = settings(
        log_level="debug",
        policy_defaults="{spot-percentage: 70}",
        drift_dwell="1m",
        classes="{defaultClass: spot}",
        log_format="json",
        metrics_addr=":9090",
    )
    made = reload_settings(Settings(), wanted)
    assert set(made.taken_up) == {"log.level", "policy.defaults", "drift.dwell", "classes"}
    assert set(made.restart) == {"log.format", "metrics.addr"}
    assert (made.settings.log.level, made.settings.log.format) == ("debug", "auto")
    assert made.settings.metrics.addr == Settings().metrics.addr
    assert (made.settings.policy, made.settings.classes) == (wanted.policy, wanted.classes)
    again = reload_settings(made.settings, wanted)
    assert (again.settings, again.taken_up, again.restart) == (made.settings, (), made.restart)


def test_addresses_certificates_and_who_leads_need_a_restart() -> None:
    restart = {leaf.key for leaf in LEAVES if not leaf.reloads}
    for leaf in LEAVES:
        section, name = leaf.path[0], leaf.path[-1]
        if section in ("leaderElection", "kubeconfig", "context") or name == "addr":
            assert leaf.key in restart
        if {"tls", "certificates"} & set(leaf.path):
            assert leaf.key in restart


def test_nothing_in_a_file_that_does_not_exist_is_told_of_by_loading(tmp_path: Path) -> None:
    path = tmp_path / "spotmix.yaml"
    source = ConfigSource(lambda: load_settings(str(path), environ={}), str(path))
    assert source.content() == b""
    with pytest.raises(ConfigError, match="cannot be read"):
        source.load()
    path.write_text(render_settings(Settings()))
    assert source.content() == path.read_bytes()
    assert source.load() == Settings()
