"""What the chart renders, under every value set, and what it refuses to."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from generate.chart import (
    CHART,
    NAMESPACE,
    RELEASE,
    HelmError,
    documents,
    hooks,
    pick,
    pod_templates,
    run_helm,
    template,
)
from generate.manifests import MANIFESTS, RELOADED, reloaded, render
from programs import ROOT
from support.chartvalues import PEM, VALUE_SETS

from extender.cli import cli
from extender.core.model.errors import ConfigError
from extender.settings import LEAVES, load_settings
from extender.settings.sections.ports import ApiSettings, ApiTlsSettings, ExpanderSettings, ExpanderTlsSettings

pytestmark = [pytest.mark.tools, pytest.mark.timeout(600)]

RECOMMENDED = {"name", "instance", "version", "component", "part-of", "managed-by"}


@pytest.fixture(params=VALUE_SETS)
def objects(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return template(VALUE_SETS[request.param])


@pytest.mark.parametrize("name", VALUE_SETS)
def test_helm_lint_finds_nothing(name: str) -> None:
    said = run_helm("lint", str(CHART), "--strict", "--namespace", NAMESPACE, values=VALUE_SETS[name])
    assert "0 chart(s) failed" in said


def test_every_object_has_the_recommended_labels_and_a_name_of_its_own(objects: list[dict[str, Any]]) -> None:
    seen = set()
    for each in objects:
        labels = each["metadata"]["labels"]
        assert {f"app.kubernetes.io/{label}" for label in RECOMMENDED} <= set(labels), each["metadata"]["name"]
        key = (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        assert key not in seen
        seen.add(key)


def test_our_own_pods_wait_for_nothing_of_ours(objects: list[dict[str, Any]]) -> None:
    for _, pod in pod_templates(objects):
        assert pod["spec"]["schedulerName"] == "default-scheduler"
    for each in objects:
        for webhook in each.get("webhooks", ()):
            assert webhook["failurePolicy"] == "Ignore"
            assert webhook["timeoutSeconds"] == 2
            assert webhook["sideEffects"] == "None"
            assert webhook["matchPolicy"] == "Equivalent"
            if "namespaceSelector" in webhook:
                excluded = webhook["namespaceSelector"]["matchExpressions"][0]
                assert excluded["key"] == "kubernetes.io/metadata.name"
                assert {NAMESPACE, "kube-system"} <= set(excluded["values"])
            else:
                assert webhook["objectSelector"] == {"matchLabels": {"spotmix.io/inject-extender": "true"}}


def test_no_rule_is_wide_and_secrets_are_named(objects: list[dict[str, Any]]) -> None:
    for each in objects:
        for rule in each.get("rules", ()) if each["kind"] in ("Role", "ClusterRole") else ():
            paths = rule.get("nonResourceURLs", ())
            assert "*" not in (*rule.get("apiGroups", ()), *rule.get("resources", ()), *rule["verbs"], *paths)
            if "secrets" in rule.get("resources", ()):
                assert rule["resourceNames"] == [pick(objects, "Secret", rule["resourceNames"][0])["metadata"]["name"]]
        if each["kind"].endswith("RoleBinding"):
            assert each["roleRef"]["name"] != "cluster-admin"


def test_containers_have_no_rights(objects: list[dict[str, Any]]) -> None:
    for _, pod in pod_templates(objects):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["runAsUser"] == 65532
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["spec"]["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"startupProbe", "livenessProbe", "readinessProbe", "resources"} <= set(container)


def test_services_and_volumes_point_at_what_is_there(objects: list[dict[str, Any]]) -> None:
    labels = [pod["metadata"]["labels"] for _, pod in pod_templates(objects)]
    ports = {p["name"] for _, pod in pod_templates(objects) for c in pod["spec"]["containers"] for p in c["ports"]}
    for each in objects:
        if each["kind"] == "Service":
            selector = {k: v for k, v in each["spec"]["selector"].items() if k != "spotmix.io/leader"}
            assert sum(selector.items() <= given.items() for given in labels) == 1
            assert {port["targetPort"] for port in each["spec"]["ports"]} <= ports
        for webhook in each.get("webhooks", ()):
            service = webhook["clientConfig"]["service"]
            assert pick(objects, "Service", service["name"])["spec"]["ports"][0]["port"] == service["port"]
    for _, pod in pod_templates(objects):
        mounted = {mount["name"] for c in pod["spec"]["containers"] for mount in c["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}
        for volume in pod["spec"]["volumes"]:
            if "configMap" in volume:
                pick(objects, "ConfigMap", volume["configMap"]["name"])


@pytest.mark.parametrize("name", VALUE_SETS)
def test_an_uninstall_lets_go_of_gated_pods_before_anything_goes(name: str, tmp_path: Path) -> None:
    values = VALUE_SETS[name]
    before = hooks(values)
    prefix = values.get("fullnameOverride", RELEASE)
    assert [(each["kind"], each["metadata"]["name"]) for each in before] == [
        (kind, f"{prefix}-release-gates")
        for kind in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Job")
    ]
    weights = []
    for each in before:
        annotations = each["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-delete"
        assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
        assert {f"app.kubernetes.io/{label}" for label in RECOMMENDED} <= set(each["metadata"]["labels"])
        weights.append(int(annotations["helm.sh/hook-weight"]))
    # Rights are there before the Job.
    assert max(weights[:-1]) < weights[-1]
    account, role, _, local, _, job = before
    assert [(rule["resources"], rule["verbs"]) for rule in local["rules"]] == [(["pods"], ["delete"])]
    assert [(rule["resources"], rule.get("resourceNames"), rule["verbs"]) for rule in role["rules"]] == [
        (["pods"], None, ["list", "patch"]),
        (["mutatingwebhookconfigurations"], [prefix], ["delete"]),
    ]
    assert job["spec"]["activeDeadlineSeconds"] < 300
    spec = job["spec"]["template"]["spec"]
    assert (spec["serviceAccountName"], spec["schedulerName"]) == (account["metadata"]["name"], "default-scheduler")
    assert spec["securityContext"]["runAsNonRoot"] is True
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    # The program takes them.
    nowhere = str(tmp_path / "nowhere")
    said = CliRunner().invoke(cli, [*container["args"], "--kubeconfig", nowhere, "--dry-run"])
    assert isinstance(said.exception, ConfigError)
    assert nowhere in str(said.exception)


def test_the_gate_is_that_of_the_first_prefix() -> None:
    for values, given in (({}, []), ({"config": {"policy": {"prefixes": ["a.example", "b.example"]}}}, ["a.example"])):
        job = hooks(values)[-1]
        told = [each for each in job["spec"]["template"]["spec"]["containers"][0]["args"] if "prefixes" in each]
        assert [yaml.safe_load(each.partition("=")[2])[0] for each in told] == given


@pytest.mark.parametrize("values", [{"uninstall": {"releaseGates": False}}, {"rbac": {"create": False}}])
def test_the_hook_can_be_left_out(values: dict[str, Any]) -> None:
    assert hooks(values) == []


def test_gates_only_is_the_default_without_a_scheduler_of_its_own() -> None:
    objects, default = template(VALUE_SETS["gates only"]), template()
    left_out = {(each["kind"], each["metadata"]["name"]) for each in default} - {
        (each["kind"], each["metadata"]["name"]) for each in objects
    }
    assert {name for _, name in left_out if "scheduler" not in name} == set()
    configured, usual = (yaml.safe_load(pick(each, "ConfigMap")["data"]["config.yaml"]) for each in (objects, default))
    assert configured.pop("policy") == {"defaults": {"enforcement": "affinity"}}
    # Of the scheduler that is left out nobody says that it asks.
    assert usual.pop("placement") == {"askingSchedulers": ["spotmix"]}
    assert configured == usual
    closed = pick(template(VALUE_SETS["gates only, in a closed network"]), "NetworkPolicy")
    assert "extender" not in {port["port"] for rule in closed["spec"]["ingress"] for port in rule["ports"]}


def test_rules_and_dashboards_are_those_of_deploy() -> None:
    runbooks = "https://git.example.org/spotmix/blob/main/"
    watched = template({"prometheusRule": {"enabled": True, "runbooks": runbooks}, "dashboards": {"enabled": True}})
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yaml").read_text())
    shown = pick(watched, "PrometheusRule")["spec"]
    for group in shown["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                url = rule["annotations"]["runbook_url"]
                assert url.startswith(f"{runbooks}docs/")
                rule["annotations"]["runbook_url"] = url.removeprefix(runbooks)
    assert shown == rules
    dashboards = pick(watched, "ConfigMap", "spotmix-dashboards")["data"]
    committed = {path.name: json.loads(path.read_text()) for path in (ROOT / "deploy" / "grafana").glob("*.json")}
    assert {name: json.loads(text) for name, text in dashboards.items()} == committed


def test_a_changed_configuration_is_a_rollout() -> None:
    before = dict(pod_templates(template()))
    after = dict(pod_templates(template({"config": {"log": {"format": "json"}}, "schedulerConfig": {"weight": 16}})))
    for name, pod in before.items():
        assert pod["metadata"]["annotations"] != after[name]["metadata"]["annotations"]


def test_the_leader_alone_is_asked_by_schedulers_and_all_replicas_by_the_api_server() -> None:
    objects = template()
    assert pick(objects, "Service", "spotmix-extender")["spec"]["selector"]["spotmix.io/leader"] == "true"
    assert pick(objects, "Service", "spotmix-api")["spec"]["selector"]["spotmix.io/leader"] == "true"
    assert "spotmix.io/leader" not in pick(objects, "Service", "spotmix-webhook")["spec"]["selector"]
    alone = template(VALUE_SETS["no webhook, one replica"])
    assert "spotmix.io/leader" not in pick(alone, "Service", "spotmix-extender")["spec"]["selector"]


def test_the_api_is_configured_as_its_values_say(tmp_path: Path) -> None:
    def configured(name: str, config_map: str = "spotmix") -> ApiSettings:
        file = tmp_path / "config.yaml"
        file.write_text(pick(template(VALUE_SETS[name]), "ConfigMap", config_map)["data"]["config.yaml"])
        return load_settings(str(file), environ={}).api

    assert configured("default") == ApiSettings()
    assert not configured("no webhook, one replica").enabled
    folder = "/etc/spotmix/api-tls"
    assert configured("certificates of one's own").tls == ApiTlsSettings(
        f"{folder}/tls.crt", f"{folder}/tls.key", f"{folder}/ca.crt"
    )
    everything = configured("everything said", VALUE_SETS["everything said"]["fullnameOverride"])
    assert (everything.addr, everything.max_watches) == ("[::]:9555", 4)
    services = {
        each["metadata"]["name"]
        for each in template(VALUE_SETS["no webhook, one replica"])
        if each["kind"] == "Service"
    }
    assert services == {"spotmix-extender", "spotmix-metrics"}


def test_the_expander_is_served_by_tls_where_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    objects = template(
        {
            **VALUE_SETS["certificates of one's own"],
            "networkPolicy": {"enabled": True, "expanderFrom": [{"podSelector": {}}]},
        }
    )
    file.write_text(pick(objects, "ConfigMap")["data"]["config.yaml"])
    folder = "/etc/spotmix/expander-tls"
    assert load_settings(str(file), environ={}).expander == ExpanderSettings(
        enabled=True, tls=ExpanderTlsSettings(f"{folder}/tls.crt", f"{folder}/tls.key")
    )
    pod = dict(pod_templates(objects))["spotmix"]["spec"]
    assert {"name": "expander-tls", "secret": {"secretName": "expander-tls", "defaultMode": 0o440}} in pod["volumes"]
    service = pick(objects, "Service", "spotmix-expander")["spec"]
    assert service["selector"]["spotmix.io/leader"] == "true"
    assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [(9445, "expander")]
    rules = pick(objects, "NetworkPolicy")["spec"]["ingress"]
    assert {"ports": [{"port": "expander"}], "from": [{"podSelector": {}}]} in rules
    file.write_text(pick(template(), "ConfigMap")["data"]["config.yaml"])
    assert load_settings(str(file), environ={}).expander == ExpanderSettings()


def test_metrics_and_console_by_tls_and_for_those_who_may() -> None:
    objects = template(
        {"metrics": {"auth": "kubernetes", "tls": {"secretName": "m"}}, "serviceMonitor": {"enabled": True}}
    )
    pod = dict(pod_templates(objects))["spotmix"]["spec"]
    container = pod["containers"][0]
    probes = [container[f"{name}Probe"]["httpGet"]["scheme"] for name in ("startup", "liveness", "readiness")]
    assert probes == ["HTTPS"] * 3
    assert {"name": "metrics-tls", "mountPath": "/etc/spotmix/metrics-tls", "readOnly": True} in container[
        "volumeMounts"
    ]
    assert {"name": "metrics-tls", "secret": {"secretName": "m", "defaultMode": 0o440}} in pod["volumes"]
    metrics = yaml.safe_load(pick(objects, "ConfigMap")["data"]["config.yaml"])["metrics"]
    assert (metrics["auth"], metrics["tls"]["key"]) == ("kubernetes", "/etc/spotmix/metrics-tls/tls.key")
    assert pick(objects, "ClusterRole", "spotmix-metrics-reader")["rules"] == [
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}
    ]
    groups = {group for rule in pick(objects, "ClusterRole")["rules"] for group in rule["apiGroups"]}
    assert {"authentication.k8s.io", "authorization.k8s.io"} <= groups
    (endpoint,) = pick(objects, "ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == ("https", {"insecureSkipVerify": True})
    assert endpoint["bearerTokenFile"] == "/var/run/secrets/kubernetes.io/serviceaccount/token"
    given = {
        "enabled": True,
        "authorization": {"credentials": {"name": "s", "key": "t"}},
        "tlsConfig": {"serverName": "x"},
    }
    own = template({"metrics": {"auth": "kubernetes", "tls": {"secretName": "m"}}, "serviceMonitor": given})
    (endpoint,) = pick(own, "ServiceMonitor")["spec"]["endpoints"]
    assert "bearerTokenFile" not in endpoint
    assert (endpoint["authorization"], endpoint["tlsConfig"]) == (given["authorization"], given["tlsConfig"])
    open_to_all = template({"serviceMonitor": {"enabled": True}})
    assert set(pick(open_to_all, "ServiceMonitor")["spec"]["endpoints"][0]) == {"port", "interval", "honorLabels"}


@pytest.mark.parametrize("weight", [0, 15])
def test_the_stanza_of_the_scheduler_is_what_the_webhook_is_told_to_inject(weight: int) -> None:
    objects = template({**VALUE_SETS["certificates of one's own"], "schedulerConfig": {"weight": weight}})
    told = yaml.safe_load(pick(objects, "ConfigMap")["data"]["config.yaml"])["schedulerConfig"]
    scheduler = yaml.safe_load(pick(objects, "ConfigMap", "spotmix-scheduler")["data"]["scheduler-config.yaml"])
    (stanza,) = scheduler["extenders"]
    assert told == {
        "urlPrefix": "https://spotmix-extender.spotmix-system.svc:8888/scheduler",
        "weight": weight,
        "ignorable": stanza["ignorable"],
        "httpTimeout": stanza["httpTimeout"],
        "caFile": stanza["tlsConfig"]["caFile"],
    }
    assert stanza["urlPrefix"] == told["urlPrefix"]
    assert (stanza.get("prioritizeVerb", ""), stanza.get("weight", 0)) == ("prioritize" if weight else "", weight)
    assert stanza["enableHTTPS"] is True
    assert stanza["nodeCacheCapable"] is True


@pytest.mark.parametrize("name", VALUE_SETS)
def test_the_program_reads_its_configuration_and_would_inject_nothing_else(name: str, tmp_path: Path) -> None:
    objects = template(VALUE_SETS[name])
    for each in objects:
        if each["kind"] == "ConfigMap" and not each["metadata"]["name"].endswith("-dashboards"):
            for key, text in each["data"].items():
                (tmp_path / key).write_text(text)
    config, scheduler = tmp_path / "config.yaml", tmp_path / "scheduler-config.yaml"
    load_settings(str(config), environ={})
    if scheduler.exists():
        command = [
            sys.executable,
            "-m",
            "extender",
            "scheduler-config",
            "inject",
            "--diff",
            "--config",
            str(config),
            str(scheduler),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("version", "tag"),
    [("v1.34.2-eks-113cf36", "v1.34.2"), ("v1.33.5-gke.1162000", "v1.33.5"), ("v1.35.0", "v1.35.0")],
)
def test_the_second_scheduler_is_of_the_clusters_version(version: str, tag: str) -> None:
    objects = template({}, "--kube-version", version)
    pod = dict(pod_templates(objects))["spotmix-scheduler"]
    assert pod["spec"]["containers"][0]["image"] == f"registry.k8s.io/kube-scheduler:{tag}"


def test_an_old_cluster_is_refused() -> None:
    with pytest.raises(HelmError, match=r"requires kubeVersion: >=1\.33"):
        template({}, "--kube-version", "v1.32.9")


GUARDS: dict[str, tuple[Mapping[str, Any], str]] = {
    "two that decide": ({"leaderElection": {"enabled": False}}, "would not know each other's reservations"),
    "budget for one": ({"replicas": 1}, "podDisruptionBudget.enabled with replicas 1 would block"),
    "budget for one scheduler": ({"scheduler": {"replicas": 1}}, "scheduler.podDisruptionBudget.enabled with"),
    "budget of 0": ({"podDisruptionBudget": {"maxUnavailable": 0}}, "maxUnavailable is 0, which blocks every node"),
    "budget of 0 %": ({"podDisruptionBudget": {"maxUnavailable": "0%"}}, "maxUnavailable is 0%, which blocks"),
    "budget of all": (
        {"podDisruptionBudget": {"maxUnavailable": None, "minAvailable": 2}},
        "minAvailable 2 of replicas 2 blocks every node drain",
    ),
    "budget of more than half": (
        {"podDisruptionBudget": {"maxUnavailable": None, "minAvailable": "51%"}},
        "minAvailable 51% of replicas 2 blocks",
    ),
    "two budgets": ({"podDisruptionBudget": {"minAvailable": 1}}, r"both maxUnavailable \(1\) and minAvailable \(1\)"),
    "no budget": ({"podDisruptionBudget": {"maxUnavailable": None}}, "neither maxUnavailable nor minAvailable"),
    "webhook without certificates": (
        {"webhook": {"certificates": {"source": "existingSecret"}}},
        "the webhook would have no certificate",
    ),
    "webhook nobody trusts": (
        {"webhook": {"certificates": {"source": "existingSecret", "existingSecret": {"name": "mine"}}}},
        "existingSecret.caBundle is empty",
    ),
    "self-made and a Secret": (
        {"webhook": {"certificates": {"existingSecret": {"name": "mine", "caBundle": PEM}}}},
        "source is selfMade: certificates can have one source",
    ),
    "self-made and cert-manager": (
        {"webhook": {"certificates": {"certManager": {"issuerRef": {"name": "corporate"}}}}},
        "source is selfMade: certificates can have one source",
    ),
    "the default scheduler's name": (
        {"scheduler": {"schedulerName": "default-scheduler"}},
        "both would bind the same pods",
    ),
    "a scheduler's other name": ({"scheduler": {"profile": {"schedulerName": "x"}}}, "decided by scheduler.schedulerN"),
    "a scheduler's other extenders": ({"scheduler": {"config": {"extenders": []}}}, "scheduler.config.extenders is"),
    "the extender's other address": ({"config": {"extender": {"addr": ":1"}}}, "config.extender.addr is decided by"),
    "another store": ({"config": {"drift": {"store": "x"}}}, "config.drift.store is decided by the chart"),
    "one port for two": ({"webhook": {"port": 8888}}, "extender.port and webhook.port are both 8888"),
    "the API's port taken": ({"api": {"port": 9443}}, "webhook.port and api.port are both 9443"),
    "the expander's port taken": (
        {"expander": {"enabled": True, "port": 9444, "tls": {"secretName": "x"}}},
        "api.port and expander.port are both 9444",
    ),
    "an expander without TLS": ({"expander": {"enabled": True}}, "expander.enabled needs expander.tls.secretName"),
    "clients without TLS": ({"api": {"tls": {"verifyClients": True}}}, "api.tls.verifyClients needs"),
    "the port of health": ({"extender": {"port": 8080}}, "metrics.port and extender.port are both 8080"),
    "a closed network": (
        {"networkPolicy": {"enabled": True}, "scheduler": {"enabled": False}},
        "lets no scheduler reach the extender",
    ),
    "a policy that holds nobody": (
        {"networkPolicy": {"enabled": True}, "hostNetwork": True},
        "does not hold pods on the host's network",
    ),
    "scraped twice": (
        {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}},
        "each replica would be scraped twice",
    ),
    "a monitor without a token": (
        {"podMonitor": {"enabled": True}, "metrics": {"auth": "kubernetes"}},
        "needs podMonitor.authorization",
    ),
    "classes that nobody has written": (
        {
            "config": {"policy": {"defaults": {"enforcement": "affinity"}}},
            "scheduler": {"enabled": False},
            "webhook": {"enabled": False},
        },
        "it is the webhook that has classes written on pods",
    ),
    "no account": ({"serviceAccount": {"create": False}}, "name the account to use"),
}


@pytest.mark.parametrize("name", GUARDS)
def test_what_would_hurt_is_refused_with_the_reason(name: str) -> None:
    values, text = GUARDS[name]
    with pytest.raises(HelmError, match=text):
        template(values)


@pytest.mark.parametrize("namespace", ["default", "kube-system"])
def test_it_wants_a_namespace_of_its_own(namespace: str) -> None:
    with pytest.raises(HelmError, match=f"namespace {namespace}: Spotmix manages no pods of the namespace it runs in"):
        template(namespace=namespace)


BAD_VALUES: dict[str, tuple[Mapping[str, Any], str]] = {
    "unknown": ({"replica": 2}, "additional properties 'replica' not allowed"),
    "unknown below": ({"webhook": {"enable": True}}, "at '/webhook': additional properties 'enable' not allowed"),
    "number": ({"replicas": "two"}, "at '/replicas': got string, want integer"),
    "too few": ({"replicas": 0}, "at '/replicas': minimum: got 0, want 1"),
    "word": ({"webhook": {"invalidPolicies": "refuse"}}, "value must be one of 'warn', 'deny'"),
    "duration": ({"leaderElection": {"leaseDuration": "15"}}, "at '/leaderElection/leaseDuration': '15' does not"),
    "setting": ({"config": {"policy": {"prefix": "a"}}}, "at '/config/policy': additional properties 'prefix'"),
    "section": ({"config": {"webhook": {}}}, "at '/config': additional properties 'webhook' not allowed"),
    "kube-system": ({"webhook": {"excludedNamespaces": []}}, "at '/webhook/excludedNamespaces'"),
    "all resources": ({"rbac": {"extraOwners": [{"apiGroup": "a.b", "resources": ["*"]}]}}, "resources/0"),
    "no group": ({"rbac": {"extraOwners": [{"resources": ["a"]}]}}, "missing property 'apiGroup'"),
    "digest": ({"image": {"digest": "0123"}}, "at '/image/digest'"),
    "no PEM": ({"webhook": {"certificates": {"existingSecret": {"caBundle": "MIIB"}}}}, "existingSecret/caBundle"),
    "who may scrape": ({"metrics": {"auth": "basic"}}, "value must be one of 'none', 'kubernetes'"),
    "who may ask": ({"api": {"auth": "basic"}}, "value must be one of 'none', 'kubernetes'"),
    "a slow webhook": ({"webhook": {"timeoutSeconds": 11}}, "at '/webhook/timeoutSeconds': maximum: got 11, want 10"),
    "a probe's question": ({"probes": {"liveness": {"exec": {}}}}, "additional properties 'exec' not allowed"),
    "low port": ({"webhook": {"port": 443}}, "at '/webhook/port': minimum: got 443, want 1,024"),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_the_schema_names_what_is_wrong(name: str) -> None:
    values, text = BAD_VALUES[name]
    with pytest.raises(HelmError) as caught:
        template(values)
    assert text in str(caught.value)


def test_every_setting_can_be_given_or_is_decided_by_the_chart() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    given = yaml.safe_load(pick(template(VALUE_SETS["cert-manager"]), "ConfigMap")["data"]["config.yaml"])
    decided = {"kubeconfig", "context", *given} - {"extender", "drift"}
    for leaf in LEAVES:
        node = schema["properties"]["config"]
        for part in leaf.path if leaf.path[0] not in decided else ():
            if "properties" in node:
                assert part in node["properties"], f"values.schema.json: config knows no {'.'.join(leaf.path)}"
                node = node["properties"][part]


def test_the_webhook_is_asked_for_namespaces_that_are_managed_alone() -> None:
    labels = {"matchLabels": {"spot": "allowed"}, "matchExpressions": [{"key": "old", "operator": "DoesNotExist"}]}
    narrow = template({"config": {"policy": {"namespaces": ["shop"], "namespaceSelector": labels}}})
    hooks_ = [hook for each in narrow for hook in each.get("webhooks", ())]
    selectors = [hook["namespaceSelector"] for hook in hooks_ if "namespaceSelector" in hook]
    assert len(selectors) == 2
    for selector in selectors:
        assert selector["matchLabels"] == {"spot": "allowed"}
        named, old, never = selector["matchExpressions"]
        assert (named["operator"], named["values"]) == ("In", ["shop"])
        assert old == {"key": "old", "operator": "DoesNotExist"}
        assert (never["operator"], NAMESPACE in never["values"]) == ("NotIn", True)


def checksum(config: dict[str, Any]) -> str:
    pod = pick(template({"config": config}), "Deployment")["spec"]["template"]
    found: str = pod["metadata"]["annotations"]["checksum/config"]
    return found


def test_a_changed_configuration_is_a_rollout_where_the_program_needs_a_restart_alone() -> None:
    before = checksum({})
    taken_up = {"log": {"level": "debug"}, "policy": {"defaults": {"spot-percentage": 50}}, "drift": {"dwell": "1m"}}
    assert checksum(taken_up) == before
    assert checksum({**taken_up, "classes": {"defaultClass": "spot"}}) == before
    assert checksum({**taken_up, "log": {"level": "debug", "format": "json"}}) != before
    assert checksum({"drift": {"enabled": False}}) != before
    assert checksum({"policy": {"prefixes": ["example.com"]}}) != before


def test_the_chart_knows_what_needs_no_rollout() -> None:
    assert RELOADED.read_text() == reloaded(), "run `make manifests`"


def test_the_plain_manifests_are_current() -> None:
    assert sorted(path.name for path in MANIFESTS.iterdir()) == sorted(render())
    for name, text in render().items():
        assert (MANIFESTS / name).read_text() == text, f"{name} is not what the chart renders; run make manifests"
        assert "Helm" not in text.replace("use Helm", "")
        assert documents(text)[0]["kind"] == "Namespace"


def test_definitions_of_policies_are_kept_and_can_be_left_out() -> None:
    for given, kept in (({}, True), ({"crds": {"keep": False}}, False)):
        found = [each for each in template(given) if each["kind"] == "CustomResourceDefinition"]
        assert [each["spec"]["names"]["kind"] for each in found] == ["PlacementPolicy", "ClusterPlacementPolicy"]
        marks = [each["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for each in found]
        assert marks == ["keep" if kept else None] * 2
    left = template({"crds": {"install": False}})
    assert [
        each for each in left if each["kind"] == "CustomResourceDefinition" or "policy-" in each["metadata"]["name"]
    ] == []


def test_whoever_edits_a_namespace_edits_its_policies_and_writes_no_status() -> None:
    objects = template()
    viewer, editor = (pick(objects, "ClusterRole", f"spotmix-policy-{who}") for who in ("viewer", "editor"))
    assert viewer["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert editor["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    for role in (viewer, editor):
        assert [rule["resources"] for rule in role["rules"]] == [["placementpolicies"]]
    assert {"create", "update", "patch", "delete"}.isdisjoint(viewer["rules"][0]["verbs"])
