"""Where a setting comes from, which source wins, and what is said of a wrong one."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from extender.core.model.classes import ClassRule
from extender.core.model.errors import ConfigError
from extender.settings import (
    API_VERSION,
    KIND,
    LEAVES,
    Settings,
    default_annotations,
    load_settings,
    render_settings,
    split_address,
)
from extender.settings.rules import rules_of

FILE = """
apiVersion: spotmix.io/v1alpha1
kind: SpotmixConfiguration
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "spotmix.yaml"
    path.write_text(FILE)
    return path


def value(settings: Settings, path: tuple[str, ...]) -> Any:
    tree = yaml.safe_load(render_settings(settings))
    for part in path:
        tree = tree[part]
    return tree


def test_defaults() -> None:
    assert load_settings(environ={}) == Settings()


@pytest.mark.parametrize(
    ("path", "env", "texts", "values"),
    [
        (("extender", "addr"), "SPOTMIX_EXTENDER_ADDR", (":1", ":2", ":3"), (":1", ":2", ":3")),
        (("extender", "maxBody"), "SPOTMIX_EXTENDER_MAX_BODY", ("2000", "3000", "4000"), (2000, 3000, 4000)),
        (("scaleIn", "rate"), "SPOTMIX_SCALE_IN_RATE", ("1.5", "2", "3"), (1.5, 2, 3)),
        (
            ("scaleIn", "deletionCost"),
            "SPOTMIX_SCALE_IN_DELETION_COST",
            ("false", "true", "false"),
            (False, True, False),
        ),
        (("log", "level"), "SPOTMIX_LOG_LEVEL", ("debug", "error", "warning"), ("debug", "error", "warning")),
        (("extender", "ownerWait"), "SPOTMIX_EXTENDER_OWNER_WAIT", ("1s", "2s", "3s"), ("1s", "2s", "3s")),
        (
            ("policy", "prefixes"),
            "SPOTMIX_POLICY_PREFIXES",
            ("[a.io]", "[b.io, c.io]", "[d.io]"),
            (["a.io"], ["b.io", "c.io"], ["d.io"]),
        ),
        (
            ("policy", "defaults"),
            "SPOTMIX_POLICY_DEFAULTS",
            ('{"spot-percentage": 10}', "{spot-percentage: 20%}", "{max-spot: 3}"),
            ({"spot-percentage": 10}, {"spot-percentage": "20%"}, {"max-spot": 3}),
        ),
    ],
)
def test_flag_over_environment_over_file_over_default(
    file: Path, path: tuple[str, ...], env: str, texts: tuple[str, str, str], values: tuple[Any, Any, Any]
) -> None:
    tree = yaml.safe_load(FILE)
    inner: Any = yaml.safe_load(texts[0]) if path[-1] not in ("addr", "ownerWait") else texts[0]
    for part in reversed(path):
        inner = {part: inner}
    file.write_text(yaml.safe_dump({**tree, **inner}))
    assert value(load_settings(str(file), environ={}), path) == values[0]
    environ = {env: texts[1], "SPOTMIX_CONFIG": str(file), "HOME": "x"}
    assert value(load_settings(environ=environ), path) == values[1]
    assert value(load_settings(flags={path: texts[2]}, environ=environ), path) == values[2]
    # What is not named keeps its default.
    assert value(load_settings(str(file), environ=environ), ("metrics", "addr")) == "0.0.0.0:8080"


def test_the_files_own_path_wins_over_its_variable(file: Path) -> None:
    assert load_settings(str(file), environ={"SPOTMIX_CONFIG": "/nowhere"}) == Settings()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "is no mapping"),
        ("- a", "is no mapping"),
        ("{", "is not YAML"),
        ("\udcff", "is not YAML"),
        ("kind: SpotmixConfiguration", "apiVersion is None; write apiVersion: spotmix.io/v1alpha1"),
        ("apiVersion: spotmix.io/v1\nkind: x", "apiVersion is 'spotmix.io/v1'"),
        (f"apiVersion: {API_VERSION}\nkind: Pod", "kind is 'Pod'; write kind: SpotmixConfiguration"),
        (FILE + "extnder: {}", "unknown field `extnder`"),
        (FILE + "extender: {adr: x}", "unknown field `adr`"),
        (FILE + "extender: {tls: {cret: x}}", r"unknown field `cret` - at `\$.extender.tls`"),
        (FILE + "classes: {extraRules: [{label: a, capacityClass: spot, value: b}]}", "unknown field `value`"),
        (FILE + "extender: null", "Expected `object`, got `null`"),
        (FILE + "extender: {maxBody: 16Mi}", r"Expected `int`, got `str` - at `\$.extender.maxBody`"),
        (FILE + "extender: {maxBody: 1}", ">= 1024"),
        (FILE + "log: {level: loud}", "Invalid enum value 'loud'"),
        (FILE + "cache: {staleAfter: 5 minutes}", "cache.staleAfter='5 minutes' is not a duration; write"),
        (FILE + "metrics: {addr: nine}", "metrics.addr: 'nine' is no address; write host:port"),
        (FILE + "policy: {prefixes: []}", "length >= 1"),
        (FILE + "policy: {defaults: {spot-percentage: 101}}", "policy.defaults: spotmix.io/spot-percentage='101'"),
        (FILE + "policy: {defaults: {spot-percentag: 10}}", "did you mean spotmix.io/spot-percentage"),
        (FILE + "1: 2", "Expected `str`"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(file: Path, content: str, text: str) -> None:
    file.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=text) as caught:
        load_settings(str(file), environ={})
    assert str(caught.value).startswith(f"configuration file {file}: ")


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"configuration file /nowhere\.yaml: cannot be read: No such file"):
        load_settings("/nowhere.yaml", environ={})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SPOTMIX_EXTENDER_MAX_BODY", "many"),
        ("SPOTMIX_EXTENDER_MAX_BODY", "1"),
        ("SPOTMIX_EXTENDER_MAX_BODY", ""),
        ("SPOTMIX_CACHE_PAGE_SIZE", "5001"),
        ("SPOTMIX_SCALE_IN_RATE", "0"),
        ("SPOTMIX_SCALE_IN_DELETION_COST", "perhaps"),
        ("SPOTMIX_LOG_FORMAT", "xml"),
        ("SPOTMIX_EXTENDER_ADDR", "8888"),
        ("SPOTMIX_METRICS_ADDR", "host:99999"),
        ("SPOTMIX_EXTENDER_OWNER_WAIT", "100ms"),
        ("SPOTMIX_EXTENDER_INTERRUPTION_HALF_LIFE", "an hour"),
        ("SPOTMIX_POLICY_DEFAULTS", "{do-not-disrupt: perhaps}"),
        ("SPOTMIX_EXTENDER_RESERVATION_TTL", "9" * 400 + "s"),
        ("SPOTMIX_POLICY_PREFIXES", "spotmix.io"),
        ("SPOTMIX_POLICY_DEFAULTS", "{spot-percentage: [}"),
        ("SPOTMIX_POLICY_DEFAULTS", "{spot-percentage: most}"),
        ("SPOTMIX_CLASSES", "{defaultClas: spot}"),
        ("SPOTMIX_WEBHOOK_ADDR", "9443"),
        ("SPOTMIX_WEBHOOK_PREFERENCE_WEIGHT", "101"),
        ("SPOTMIX_WEBHOOK_INVALID_POLICIES", "ignore"),
        ("SPOTMIX_WEBHOOK_EXTRA_SPOT_TAINTS", "[spot]"),
        ("SPOTMIX_WEBHOOK_EXTRA_SPOT_TAINTS", "[karpenter.sh/disrupted:NoSchedule]"),
    ],
)
def test_a_wrong_value_names_where_it_comes_from(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={name: text})
    assert str(caught.value).startswith(f"environment variable {name}: ")
    leaf = next(leaf for leaf in LEAVES if leaf.env == name)
    with pytest.raises(ConfigError) as caught:
        load_settings(flags={leaf.path: text}, environ={})
    assert str(caught.value).startswith(f"flag {leaf.flag}: ")


def test_unknown_variables_are_errors_and_service_links_are_not() -> None:
    with pytest.raises(ConfigError, match="environment variable SPOTMIX_EXTENDER_ADRR is no setting"):
        load_settings(environ={"SPOTMIX_EXTENDER_ADRR": ":1"})
    links = {
        "SPOTMIX_SERVICE_HOST": "10.0.0.1",
        "SPOTMIX_SERVICE_PORT": "8888",
        "SPOTMIX_SERVICE_PORT_EXTENDER": "8888",
        "SPOTMIX_PORT": "tcp://10.0.0.1:8888",
        "SPOTMIX_PORT_8888_TCP": "tcp://10.0.0.1:8888",
        "SPOTMIX_PORT_8888_TCP_PROTO": "tcp",
        "SPOTMIX_EXTENDER_SERVICE_HOST": "10.0.0.2",
        "SPOTMIX_EXTENDER_PORT_8080_TCP_ADDR": "10.0.0.2",
        "SPOTMIX_SANDBOX_DIR": "x",
        "OTHER": "y",
    }
    assert load_settings(environ=links) == Settings()
    assert not {leaf.env for leaf in LEAVES} & set(links)


def test_certificate_and_key_may_come_from_different_places(file: Path) -> None:
    file.write_text(FILE + "extender: {tls: {cert: c.pem}}")
    tls = load_settings(str(file), environ={"SPOTMIX_EXTENDER_TLS_KEY": "k.pem"}).extender.tls
    assert (tls.cert, tls.key) == ("c.pem", "k.pem")
    with pytest.raises(ConfigError, match="only one of cert and key"):
        load_settings(str(file), environ={})
    with pytest.raises(ConfigError, match="clientCa needs cert and key"):
        load_settings(flags={("extender", "tls", "clientCa"): "ca.pem"}, environ={})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"leaseDuration": "10s"}, "renewDeadline='10s' is not below leaderElection.leaseDuration='10s'"),
        ({"retryPeriod": "9s"}, "retryPeriod='9s' times 1.2 is not below leaderElection.renewDeadline='10s'"),
        ({"retryPeriod": "0"}, "retryPeriod has to be above 0"),
        ({"leaseDuration": "0.9s", "renewDeadline": "0.5s", "retryPeriod": "0.1s"}, "leaseDuration at least 1s"),
        ({"name": "Spot_Mix"}, "matching regex"),
        ({"name": ""}, "length >= 1"),
        ({"namespace": "a/b"}, "matching regex"),
        ({"identitee": "x"}, "unknown field `identitee`"),
    ],
)
def test_the_times_of_an_election_have_to_fit(file: Path, given: dict[str, str], text: str) -> None:
    file.write_text(yaml.safe_dump({**yaml.safe_load(FILE), "leaderElection": given}))
    with pytest.raises(ConfigError, match=re.escape(text)):
        load_settings(str(file), environ={})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"renewBefore": "2160h"}, "renewBefore='2160h' is not between 0 and webhook.certificates.validity='2160h'"),
        ({"renewBefore": "0"}, "renewBefore='0' is not between 0"),
        ({"caValidity": "2880h"}, "caValidity='2880h' is not above validity and renewBefore together"),
        ({"ipAddresses": ["localhost"]}, "ipAddresses: 'localhost' is no IP address"),
        ({"secret": "tls", "service": ""}, "names no service, dnsNames or ipAddresses"),
        ({"secret": "../x"}, "matching regex"),
    ],
)
def test_the_times_of_certificates_have_to_fit(file: Path, given: dict[str, Any], text: str) -> None:
    file.write_text(yaml.safe_dump({**yaml.safe_load(FILE), "extender": {"certificates": given}}))
    with pytest.raises(ConfigError, match=re.escape(text.replace("webhook.", "extender."))):
        load_settings(str(file), environ={})
    file.write_text(yaml.safe_dump({**yaml.safe_load(FILE), "webhook": {"certificates": given}}))
    with pytest.raises(ConfigError, match=re.escape(text)):
        load_settings(str(file), environ={})


def test_the_extenders_certificate_has_one_source(file: Path) -> None:
    extender = {"certificates": {"secret": "tls"}, "tls": {"cert": "a", "key": "b"}}
    file.write_text(yaml.safe_dump({**yaml.safe_load(FILE), "extender": extender}))
    with pytest.raises(ConfigError, match="exclude each other"):
        load_settings(str(file), environ={})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"interval": "4s"}, "drift.interval='4s' is below 5s"),
        ({"interval": "often"}, "drift.interval='often' is not a duration"),
        ({"minPodAge": 120}, "Expected `str`, got `int`"),
        ({"maxUnavailable": 101}, "<= 100"),
        ({"notReadyNodes": -1}, ">= 0"),
        ({"workloadInFlight": "10%"}, "Expected `int`, got `str`"),
        ({"maxMovesInFlight": 0}, ">= 1"),
        ({"circuitMoves": 0}, ">= 1"),
        ({"backOff": "0"}, "drift.backOff='0' is not above 0"),
        ({"replacementTimeout": "0s"}, "drift.replacementTimeout='0s' is not above 0"),
        ({"backOff": "2h"}, "drift.maxBackOff='1h' is below drift.backOff='2h'"),
        ({"store": "Drift"}, "matching regex"),
        ({"readonly": True}, "unknown field `readonly`"),
    ],
)
def test_how_careful_the_drift_loop_is_has_to_make_sense(file: Path, given: dict[str, Any], text: str) -> None:
    file.write_text(yaml.safe_dump({**yaml.safe_load(FILE), "drift": given}))
    with pytest.raises(ConfigError, match=re.escape(text)):
        load_settings(str(file), environ={})


def test_the_hourly_budget_is_a_default_of_policies_like_others(file: Path) -> None:
    assert default_annotations(Settings()) == {}
    file.write_text(FILE + "drift: {maxMovesPerHour: 20}")
    key = "spotmix.io/max-moves-per-hour"
    assert default_annotations(load_settings(str(file), environ={})) == {key: "20"}
    environ = {"SPOTMIX_POLICY_DEFAULTS": "{max-moves-per-hour: 3}"}
    assert default_annotations(load_settings(str(file), environ=environ)) == {key: "3"}


def test_a_webhook_needs_a_certificate(file: Path) -> None:
    file.write_text(FILE + "webhook: {enabled: true, tls: {cert: c.pem}}")
    webhook = load_settings(str(file), environ={"SPOTMIX_WEBHOOK_TLS_KEY": "k.pem"}).webhook
    assert (webhook.enabled, webhook.tls.cert, webhook.tls.key) == (True, "c.pem", "k.pem")
    with pytest.raises(ConfigError, match=r"webhook\.tls has only one of cert and key"):
        load_settings(str(file), environ={})
    with pytest.raises(ConfigError, match=r"webhook\.enabled needs a certificate: give webhook\.tls\.cert"):
        load_settings(environ={"SPOTMIX_WEBHOOK_ENABLED": "true"})


def test_what_is_rendered_is_read_back(file: Path) -> None:
    given = load_settings(
        environ={
            "SPOTMIX_CLASSES": "{defaultClass: spot, extraRules: [{label: a, capacityClass: spot, values: [b]}]}",
            "SPOTMIX_POLICY_DEFAULTS": "{mode: audit, max-spot: 3}",
            "SPOTMIX_EXTENDER_TLS_CERT": "c",
            "SPOTMIX_EXTENDER_TLS_KEY": "k",
            "SPOTMIX_WEBHOOK_EXTRA_SPOT_TAINTS": "[spot=true:NoSchedule, cheap:NoExecute]",
        }
    )
    assert given.classes.extra_rules == (ClassRule("a", "spot", ("b",)),)
    for settings in (Settings(), given):
        text = render_settings(settings)
        assert text.startswith(f"apiVersion: {API_VERSION}\nkind: {KIND}\n")
        file.write_text(text)
        assert load_settings(str(file), environ={}) == settings


def test_every_setting_has_a_text_and_names_of_its_own() -> None:
    assert all(leaf.text for leaf in LEAVES)
    for names in ([leaf.flag for leaf in LEAVES], [leaf.env for leaf in LEAVES], [leaf.path for leaf in LEAVES]):
        assert len(set(names)) == len(names)
    flags = {leaf.flag for leaf in LEAVES}
    assert {"--extender-addr", "--metrics-addr", "--kubeconfig", "--tls-cert", "--tls-key", "--client-ca"} <= flags


@pytest.mark.parametrize(
    ("address", "parts"),
    [("0.0.0.0:80", ("0.0.0.0", 80)), (":80", ("0.0.0.0", 80)), ("[::1]:80", ("::1", 80)), ("host:0", ("host", 0))],
)
def test_addresses(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts


@pytest.mark.parametrize("address", ["", "80", "host", "host:", "host:port", "host:65536", "host:-1"])
def test_no_addresses(address: str) -> None:
    with pytest.raises(ValueError, match="is no address; write host:port"):
        split_address(address)


def test_a_selector_of_namespaces_is_read_as_kubernetes_writes_it() -> None:
    text = "{matchLabels: {spot: allowed}, matchExpressions: [{key: old, operator: DoesNotExist}]}"
    settings = load_settings(environ={"SPOTMIX_POLICY_NAMESPACE_SELECTOR": text, "SPOTMIX_POLICY_NAMESPACES": "[shop]"})
    rules = rules_of(settings)
    assert rules.selector.matches({"spot": "allowed"})
    assert not rules.selector.matches({"spot": "allowed", "old": "1"})
    assert rules.namespaces == {"shop"}
    assert load_settings(environ={}).policy.namespace_selector.selector() == rules_of(Settings()).selector


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("NAMESPACE_SELECTOR", "{matchExpressions: [{key: a, operator: In}]}", "In of a has values []; give it values"),
        (
            "NAMESPACE_SELECTOR",
            "{matchExpressions: [{key: a, operator: Exists, values: [b]}]}",
            "Exists of a has values ['b']; take its values away",
        ),
        ("NAMESPACE_SELECTOR", "{labels: {a: b}}", "unknown field `labels`"),
        ("NAMESPACES", "[Shop]", "'[Shop]' is wrong"),
    ],
)
def test_a_wrong_choice_of_namespaces_is_told(name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={f"SPOTMIX_POLICY_{name}": text})
    assert said in str(caught.value)
