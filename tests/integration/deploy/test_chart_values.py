"""What people who run platforms set of the chart, and what is rendered of it."""

import json
import re
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from generate import chartreadme
from generate.chart import CHART, RELEASE, HelmError, hooks, pick, pod_templates, template
from support.chartvalues import EXTRAS, HOST_NETWORK, VALUE_SETS

from extender.cli import cli
from extender.core.model.errors import ServiceError
from extender.settings import load_settings

pytestmark = [pytest.mark.tools, pytest.mark.timeout(600)]

Object = dict[str, Any]
ADDED = VALUE_SETS["what platforms add"]


@pytest.fixture(scope="module")
def added() -> list[Object]:
    return template(ADDED, hooks=True)


def pods(objects: list[Object]) -> dict[str, Object]:
    return {name: template["spec"] for name, template in pod_templates(objects)}


def test_common_labels_and_annotations_are_on_everything_and_replace_nothing(added: list[Object]) -> None:
    templates = [{"metadata": each["metadata"]} for _, each in pod_templates(added)]
    assert len(templates) == 3
    for each in (*added, *templates):
        metadata = each["metadata"]
        assert metadata["labels"]["example.org/team"] == "platform"
        assert metadata["labels"]["app.kubernetes.io/name"] == "spotmix"
        assert metadata["annotations"]["example.org/contact"] == "platform"
    for name, pod in pod_templates(added):
        if name in (RELEASE, f"{RELEASE}-scheduler"):
            assert "checksum/config" in pod["metadata"]["annotations"]
            selector = pick(added, "Deployment", name)["spec"]["selector"]["matchLabels"]
            assert "example.org/team" not in selector
            assert selector.items() <= pod["metadata"]["labels"].items()


def test_each_kind_of_object_takes_annotations_of_its_own(added: list[Object]) -> None:
    def annotations(kind: str, name: str = RELEASE) -> Any:
        return pick(added, kind, name)["metadata"]["annotations"]

    for service in ("metrics", "api", "webhook"):
        assert annotations("Service", f"{RELEASE}-{service}")["example.org/service"] == service
    for name in (RELEASE, f"{RELEASE}-scheduler"):
        assert annotations("Deployment", name)["example.org/deployment"] == "yes"
    assert annotations("ServiceAccount", f"{RELEASE}-scheduler")["example.org/account"] == "scheduler"
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        assert annotations(kind)["admissions.enforcer/disabled"] == "true"
        assert annotations(kind)["cert-manager.io/inject-ca-from"] == f"spotmix-system/{RELEASE}-webhook"
    assert annotations("PodMonitor")["example.org/monitor"] == "pods"
    assert all("annotations" not in each["metadata"] for each in template() if each["kind"] == "Service")


def test_images_come_from_the_registry_that_is_named(added: list[Object]) -> None:
    images = {c["image"].rpartition(":")[0] for name, pod in pods(added).items() for c in pod["containers"]}
    assert images == {
        "registry.example.org/mirror/spotmix",
        "registry.example.org/k8s/kube-scheduler",
        "registry.example.org/sidecar",
    }
    for spec in (*pods(added).values(), *(each["spec"] for each in added if each["kind"] == "Pod")):
        assert spec["imagePullSecrets"] == [{"name": "pull"}]


@pytest.mark.parametrize("name", [RELEASE, f"{RELEASE}-scheduler"])
def test_containers_take_what_is_added(added: list[Object], name: str) -> None:
    given = {**EXTRAS, **(ADDED["scheduler"] if name != RELEASE else {})}
    spec, usual = pods(added)[name], pods(template())[name]
    main, sidecar = spec["containers"]
    assert main["args"][-1:] == given["extraArgs"]
    assert main["args"][: len(usual["containers"][0]["args"])] == usual["containers"][0]["args"]
    assert main["env"][-1:] == given["extraEnv"]
    assert main["volumeMounts"][-1:] == given["extraVolumeMounts"]
    assert spec["volumes"][-1:] == given["extraVolumes"]
    assert sidecar == given["extraContainers"][0]
    assert spec["initContainers"] == given["extraInitContainers"]


def test_updates_and_probes_are_as_is_said(added: list[Object]) -> None:
    def strategy(objects: list[Object], name: str = RELEASE) -> Any:
        return pick(objects, "Deployment", name)["spec"].get("strategy")

    assert strategy(added) == ADDED["updateStrategy"]
    assert strategy(added, f"{RELEASE}-scheduler") == {"type": "Recreate"}
    assert strategy(template()) is None
    ours, scheduler = (pods(added)[name]["containers"][0] for name in (RELEASE, f"{RELEASE}-scheduler"))
    assert ours["livenessProbe"] == {
        "httpGet": {"path": "/livez", "port": "metrics", "scheme": "HTTP"},
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 12,
    }
    assert ours["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert scheduler["startupProbe"]["failureThreshold"] == 60
    assert scheduler["startupProbe"]["httpGet"] == {"path": "/healthz", "port": "https", "scheme": "HTTPS"}


def test_all_of_it_goes_to_another_namespace() -> None:
    everything = {"networkPolicy": {"enabled": True}, "priorityAndFairness": {"enabled": True}}
    values = {**everything, **VALUE_SETS["all that can be watched"], "namespaceOverride": "placement"}
    moved = template(values, "--set", "webhook.certificates.source=certManager", hooks=True)
    namespaces = {each["metadata"]["namespace"] for each in moved if "namespace" in each["metadata"]}
    assert namespaces == {"placement", "kube-system"}
    # In addresses, subjects, policies and arguments too.
    assert "spotmix-system" not in yaml.safe_dump_all(moved)
    with pytest.raises(Exception, match="namespace default: Spotmix manages no pods of the namespace it runs in"):
        template({"namespaceOverride": "default"})


def test_on_the_hosts_network_names_resolve_and_updates_find_free_ports(tmp_path: Any) -> None:
    objects = template(HOST_NETWORK)
    spec = pods(objects)[RELEASE]
    assert (spec["hostNetwork"], spec["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    assert pick(objects, "Deployment")["spec"]["strategy"] == {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert "hostNetwork" not in pods(objects)[f"{RELEASE}-scheduler"]
    listening = {port["name"]: port["containerPort"] for port in spec["containers"][0]["ports"]}
    assert listening == {"extender": 8888, "metrics": 18080, "api": 9444, "webhook": 19443}
    file = tmp_path / "config.yaml"
    file.write_text(pick(objects, "ConfigMap")["data"]["config.yaml"])
    settings = load_settings(str(file), environ={})
    assert (settings.metrics.addr, settings.webhook.addr) == ("0.0.0.0:18080", "0.0.0.0:19443")
    # The API server's port is that of the Service, whatever the pod's is.
    assert pick(objects, "Service", f"{RELEASE}-webhook")["spec"]["ports"][0]["port"] == 443
    usual = pods(template())[RELEASE]
    assert not {"hostNetwork", "dnsPolicy"} & set(usual)
    assert pods(template({"dnsPolicy": "Default"}))[RELEASE]["dnsPolicy"] == "Default"


def test_the_webhook_is_waited_for_as_long_as_is_said() -> None:
    configurations = [each for each in template({"webhook": {"timeoutSeconds": 5}}) if "webhooks" in each]
    assert {webhook["timeoutSeconds"] for each in configurations for webhook in each["webhooks"]} == {5}


@pytest.mark.parametrize(("kind", "field"), [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")])
def test_monitors_scrape_as_is_said(kind: str, field: str) -> None:
    given = ADDED["podMonitor"]
    objects = template({kind[0].lower() + kind[1:]: given})
    (scraped,) = pick(objects, kind)["spec"][field]
    assert scraped == {
        "port": "metrics",
        "interval": "1m",
        "scrapeTimeout": "20s",
        "honorLabels": True,
        "relabelings": given["relabelings"],
        "metricRelabelings": given["metricRelabelings"],
    }
    (labels,) = (pick(objects, kind)["spec"]["selector"]["matchLabels"],)
    assert labels.items() <= dict(pod_templates(objects))[RELEASE]["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ({}, ["system-cluster-critical"]),
        (
            {"scheduler": {"priorityClassName": "system-node-critical"}},
            ["system-cluster-critical", "system-node-critical"],
        ),
        ({"priorityClassName": "", "scheduler": {"priorityClassName": "high"}}, []),
        ({"priorityClassName": "", "scheduler": {"enabled": False}}, []),
        ({"resourceQuota": {"enabled": False}}, []),
    ],
)
def test_a_quota_lets_critical_pods_in(values: dict[str, Any], classes: list[str]) -> None:
    quotas = [each["spec"] for each in template(values) if each["kind"] == "ResourceQuota"]
    found = [quota["scopeSelector"]["matchExpressions"][0]["values"] for quota in quotas]
    assert found == ([classes] if classes else [])
    assert all(quota["hard"] == {"pods": "32"} for quota in quotas)


def test_the_api_server_keeps_a_share_for_both_accounts(added: list[Object]) -> None:
    level, schema = pick(added, "PriorityLevelConfiguration"), pick(added, "FlowSchema")
    assert schema["spec"]["priorityLevelConfiguration"]["name"] == level["metadata"]["name"]
    (rule,) = schema["spec"]["rules"]
    accounts = {each["serviceAccount"]["name"] for each in rule["subjects"]}
    assert accounts == {pod["serviceAccountName"] for name, pod in pods(template(ADDED)).items()}
    assert not [each for each in template() if each["kind"] in ("FlowSchema", "PriorityLevelConfiguration")]


def test_helm_test_asks_the_leader_and_takes_no_right(added: list[Object]) -> None:
    (pod,) = hooks(ADDED, when="test")
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    (container,) = spec["containers"]
    assert container["args"] == ["status", "--all-namespaces", "--server=spotmix-api.spotmix-system.svc:9444"]
    service = pick(added, "Service", f"{RELEASE}-api")
    assert service["spec"]["ports"][0]["port"] == 9444
    # The program takes them.
    said = CliRunner().invoke(cli, [*container["args"][:2], "--server=127.0.0.1:1"])
    assert isinstance(said.exception, ServiceError)


def test_helm_test_trusts_the_ca_of_the_apis_secret_and_passes_the_policy() -> None:
    values = {
        "api": {"tls": {"secretName": "api-tls"}},
        "networkPolicy": {"enabled": True, "apiFrom": [{"podSelector": {}}]},
    }
    (pod,) = hooks(values, when="test")
    (container,) = pod["spec"]["containers"]
    assert container["args"][-1] == "--server-ca=/etc/spotmix/api-tls/ca.crt"
    assert container["volumeMounts"][0]["mountPath"] == "/etc/spotmix/api-tls"
    assert pod["spec"]["volumes"][0]["secret"]["secretName"] == "api-tls"
    rules = pick(template(values), "NetworkPolicy")["spec"]["ingress"]
    (peers,) = [rule["from"] for rule in rules if rule["ports"] == [{"port": "api"}]]
    assert peers[0]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize(
    "api",
    [{"enabled": False}, {"auth": "kubernetes"}, {"tls": {"secretName": "api-tls", "verifyClients": True}}],
)
def test_helm_test_is_left_out_where_it_would_be_turned_away(api: dict[str, Any]) -> None:
    assert hooks({"api": api}, when="test") == []


def rules(values: Object) -> dict[str, Object]:
    spec = pick(template({"prometheusRule": {"enabled": True, **values}}), "PrometheusRule")["spec"]
    return {rule.get("alert") or rule["record"]: rule for group in spec["groups"] for rule in group["rules"]}


def test_alerts_are_changed_one_by_one() -> None:
    changes = {
        "SpotmixWorkloadsUnlisted": {"enabled": False},
        "SpotmixSlow": {"threshold": 0.5, "for": "30m", "severity": "info"},
        "SpotmixBelowFloor": {"threshold": 1},
        "SpotmixCertificateEnds": {"threshold": 1209600},
    }
    usual, changed = rules({}), rules({"alerts": changes, "alertLabels": {"team": "platform"}})
    assert set(usual) - set(changed) == {"SpotmixWorkloadsUnlisted"}
    slow = changed["SpotmixSlow"]
    assert (slow["expr"], slow["for"]) == ("cluster_job_verb:spotmix_request_duration_seconds:p99_5m > 0.5", "30m")
    assert slow["labels"] == {"severity": "info", "team": "platform"}
    assert changed["SpotmixBelowFloor"]["expr"].endswith('spotmix_workload_info{mode="enforce"}) > 1')
    assert changed["SpotmixCertificateEnds"]["expr"].endswith("- time() < 1209600")
    untouched = {name for name, rule in changed.items() if {**rule, "labels": 0} == {**usual[name], "labels": 0}}
    assert set(usual) - untouched == set(changes)


@pytest.mark.parametrize(
    ("alerts", "text"),
    [
        ({"SpotmixSlo": {"enabled": False}}, "SpotmixSlo: there is no alert of that name; there are SpotmixApiFaults,"),
        ({"SpotmixDown": {"threshold": 2}}, "SpotmixDown.threshold: this alert compares with no number"),
        ({"SpotmixSlow": {"limit": 2}}, "additional properties 'limit' not allowed"),
    ],
)
def test_a_change_of_an_alert_that_says_nothing_is_refused(alerts: Object, text: str) -> None:
    with pytest.raises(HelmError, match=text):
        rules({"alerts": alerts})


def test_every_alert_but_one_takes_a_threshold() -> None:
    alerts = [name for name, rule in rules({}).items() if "alert" in rule]
    changed = rules({"alerts": {name: {"threshold": 12345} for name in alerts if name != "SpotmixDown"}})
    assert [name for name in alerts if not changed[name]["expr"].strip().endswith(" 12345")] == ["SpotmixDown"]


def test_the_label_of_clusters_has_the_name_that_is_said() -> None:
    watched = {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}, "clusterLabel": "k8s"}
    objects = template(watched)
    spec = pick(objects, "PrometheusRule")["spec"]
    for rule in (rule for group in spec["groups"] for rule in group["rules"]):
        assert not re.search(r"\bcluster\b", rule["expr"]), rule
        assert "by (k8s" in rule["expr"] or "cluster_job" in rule["expr"], rule
    for text in pick(objects, "ConfigMap", f"{RELEASE}-dashboards")["data"].values():
        board = json.loads(text)
        exprs = [query["expr"] for panel in board["panels"] for query in panel.get("targets", ())]
        assert len(exprs) > 3
        assert all('{k8s="$cluster",job=~"$job"' in expr and "cluster=" not in expr for expr in exprs)
        queries = [each["query"]["query"] for each in board["templating"]["list"] if each["type"] == "query"]
        assert queries[:2] == [
            "label_values(spotmix_build_info, k8s)",
            'label_values(spotmix_build_info{k8s="$cluster"}, job)',
        ]


def test_dashboards_go_where_grafana_looks() -> None:
    given = {"enabled": True, "namespace": "monitoring", "folder": "Scheduling", "annotations": {"example.org/a": "b"}}
    metadata = pick(template({"dashboards": given}), "ConfigMap", f"{RELEASE}-dashboards")["metadata"]
    assert metadata["namespace"] == "monitoring"
    assert metadata["annotations"] == {"example.org/a": "b", "grafana_folder": "Scheduling"}
    other = template({"dashboards": {**given, "folderAnnotation": "k8s-sidecar-target-directory"}})
    annotations = pick(other, "ConfigMap", f"{RELEASE}-dashboards")["metadata"]["annotations"]
    assert annotations["k8s-sidecar-target-directory"] == "Scheduling"


def test_the_chart_says_who_it_is() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert all(chart[key] for key in ("home", "sources", "maintainers", "icon"))


def test_the_readme_is_current() -> None:
    assert chartreadme.README.read_text() == chartreadme.render(), "run `make manifests`"


def test_the_readme_has_every_value() -> None:
    def leaves(values: Any, path: str = "") -> list[str]:
        if not isinstance(values, dict) or not values:
            return [path]
        return [leaf for key, value in values.items() for leaf in leaves(value, f"{path}.{key}" if path else key)]

    text = chartreadme.render()
    rows = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    wanted = leaves(yaml.safe_load((CHART / "values.yaml").read_text()))
    # A value written on one line is one row.
    assert [leaf for leaf in wanted if leaf not in rows and leaf.rpartition(".")[0] not in rows] == []
