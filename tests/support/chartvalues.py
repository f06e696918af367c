"""Value sets of the chart that tests render, each an installation that somebody would want."""

import yaml
from generate.chart import CHART, Values

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
_PEER = {"ipBlock": {"cidr": "10.0.0.0/24"}}

_SIDECAR = {
    "name": "sidecar",
    "image": "registry.example.org/sidecar:1",
    "ports": [{"name": "sidecar", "containerPort": 15000}],
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
    "resources": {"limits": {"memory": "32Mi"}},
    **{f"{name}Probe": {"tcpSocket": {"port": "sidecar"}} for name in ("startup", "liveness", "readiness")},
    "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
}
EXTRAS: Values = {
    "extraArgs": ["--log-level=debug"],
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.org:3128"}],
    "extraVolumes": [{"name": "shared", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    "extraContainers": [_SIDECAR],
    "extraInitContainers": [
        {**_SIDECAR, "name": "first", "ports": [], "restartPolicy": "Always"},
    ],
}
HOST_NETWORK: Values = {"hostNetwork": True, "metrics": {"port": 18080}, "webhook": {"port": 19443}}
"""Not among the sets below: pods on the host's network are not let in where those are tried."""

VALUE_SETS: dict[str, Values] = {
    "default": {},
    "control plane of one's own": {
        "scheduler": {"enabled": False},
        "extender": {"service": {"clusterIP": "10.96.0.88", "annotations": {"example.org/a": "b"}}},
        "schedulerConfig": {"ignorable": True, "weight": 20, "httpTimeout": "2s"},
        "networkPolicy": {"enabled": True, "extenderFrom": [_PEER]},
    },
    "gates only": yaml.safe_load((CHART / "values-gates-only.yaml").read_text()),
    "gates only, in a closed network": {
        "config": {"policy": {"defaults": {"enforcement": "affinity"}}},
        "scheduler": {"enabled": False},
        "networkPolicy": {"enabled": True},
    },
    "cert-manager": {
        "webhook": {"certificates": {"source": "certManager"}, "invalidPolicies": "deny"},
    },
    "cert-manager with an issuer that exists": {
        "webhook": {
            "certificates": {
                "source": "certManager",
                "certManager": {
                    "issuerRef": {"name": "corporate", "kind": "ClusterIssuer", "group": "cert-manager.io"}
                },
            }
        },
    },
    "certificates of one's own": {
        "webhook": {"certificates": {"source": "existingSecret", "existingSecret": {"name": "mine", "caBundle": PEM}}},
        "extender": {"tls": {"secretName": "extender-tls"}},
        "api": {"tls": {"secretName": "api-tls", "verifyClients": True}},
        "expander": {"enabled": True, "tls": {"secretName": "expander-tls"}},
    },
    "certificates of one's own for schedulers too": {
        "extender": {"tls": {"secretName": "extender-tls", "clientSecretName": "scheduler-tls"}},
    },
    "plain HTTP and no admission policy": {
        "extender": {"tls": {"enabled": False}},
        "admissionPolicy": {"enabled": False},
    },
    "no webhook, one replica": {
        "config": {"drift": {"enabled": False}},
        "webhook": {"enabled": False},
        "api": {"enabled": False},
        "replicas": 1,
        "leaderElection": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "scheduler": {"replicas": 1, "podDisruptionBudget": {"enabled": False}},
    },
    "what platforms add": {
        "commonLabels": {"example.org/team": "platform", "app.kubernetes.io/name": "not-this"},
        "commonAnnotations": {"example.org/contact": "platform"},
        "deploymentAnnotations": {"example.org/deployment": "yes"},
        "image": {"registry": "registry.example.org/mirror"},
        "imagePullSecrets": [{"name": "pull"}],
        "metrics": {"port": 8090, "service": {"annotations": {"example.org/service": "metrics"}}},
        "api": {"service": {"annotations": {"example.org/service": "api"}}},
        "webhook": {
            "annotations": {"admissions.enforcer/disabled": "true"},
            "service": {"annotations": {"example.org/service": "webhook"}},
            "certificates": {"source": "certManager"},
        },
        "updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
        "probes": {"liveness": {"failureThreshold": 12}},
        **EXTRAS,
        "scheduler": {
            "image": {"registry": "registry.example.org/k8s"},
            "updateStrategy": {"type": "Recreate"},
            "probes": {"startup": {"failureThreshold": 60}},
            "deploymentAnnotations": {"example.org/deployment": "yes"},
            "serviceAccount": {"annotations": {"example.org/account": "scheduler"}},
            "priorityClassName": "",
            **EXTRAS,
            "extraArgs": ["--feature-gates=OpportunisticBatching=false"],
        },
        "priorityAndFairness": {"enabled": True},
        "podMonitor": {
            "enabled": True,
            "annotations": {"example.org/monitor": "pods"},
            "interval": "1m",
            "scrapeTimeout": "20s",
            "relabelings": [{"targetLabel": "cluster", "replacement": "east"}],
            "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "python_gc_.*", "action": "drop"}],
        },
    },
    "all that can be watched": {
        "serviceMonitor": {
            "enabled": True,
            "labels": {"release": "prometheus"},
            "scrapeTimeout": "10s",
            "relabelings": [{"targetLabel": "cluster", "replacement": "east"}],
        },
        "metrics": {"auth": "kubernetes", "tls": {"secretName": "metrics-tls"}},
        "clusterLabel": "kubernetes_cluster",
        "prometheusRule": {
            "enabled": True,
            "labels": {"release": "prometheus"},
            "alertLabels": {"team": "platform"},
            "alerts": {"SpotmixWorkloadsUnlisted": {"enabled": False}, "SpotmixSlow": {"threshold": 0.5, "for": "30m"}},
        },
        "dashboards": {"enabled": True, "folder": "Scheduling", "annotations": {"example.org/a": "b"}},
        "networkPolicy": {"enabled": True, "metricsFrom": [{"namespaceSelector": {}}], "apiFrom": [_PEER]},
    },
    "everything said": {
        "fullnameOverride": "placement-of-pods-with-quite-a-long-name",
        "replicas": 3,
        "image": {"repository": "registry.example.org/team/spotmix", "digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "pull"}],
        "config": {
            "extender": {"maxBody": 16777216, "maxCandidates": 0, "ownerWait": "0.2s", "reservationTtl": "10m"},
            "log": {"level": "debug", "format": "json"},
            "console": {"auth": "kubernetes"},
            "cache": {"pageSize": 500, "staleAfter": "2m"},
            "scaleIn": {"deletionCost": False, "settle": "1s", "rate": 12.5},
            "api": {"maxWatches": 4},
            "drift": {"readOnly": True, "interval": "1m", "maxMovesPerHour": 2, "dwell": "10m"},
            "policy": {
                "prefixes": ["spotmix.io"],
                "defaults": {"min-on-demand": 1, "spot-percentage": "50"},
                "protectedNamespaces": ["kube-system", "monitoring"],
            },
            "classes": {
                "extraRules": [{"capacityClass": "spot", "label": "example.org/cheap", "values": ["yes"]}],
                "extraGoingAwayTaints": ["example.org/leaving"],
            },
        },
        "listenAddress": "[::]",
        "api": {"port": 9555},
        "webhook": {
            "defaultSchedulerName": "cheap",
            "preferenceWeight": 0,
            "extraSpotTaints": ["example.org/cheap=yes:NoSchedule", "example.org/leased:NoExecute"],
            "excludedNamespaces": ["kube-system", "payments"],
            "namespaceMatchExpressions": [{"key": "example.org/frozen", "operator": "DoesNotExist"}],
            "certificates": {"selfMade": {"validity": "720h", "renewBefore": "240h"}},
        },
        "scheduler": {
            "schedulerName": "cheap",
            "image": {"tag": "v1.35.1"},
            "profile": {"percentageOfNodesToScore": 100},
            "config": {"parallelism": 8},
            "affinity": {"nodeAffinity": {}},
        },
        "rbac": {"extraOwners": [{"apiGroup": "argoproj.io", "resources": ["rollouts"]}]},
        "serviceAccount": {"name": "placer", "annotations": {"example.org/role": "placer"}},
        "podDisruptionBudget": {"maxUnavailable": None, "minAvailable": "50%"},
        "priorityClassName": "system-cluster-critical",
        "podAnnotations": {"example.org/a": "b"},
        "extraEnv": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector.observability:4318"}],
        "podLabels": {"example.org/c": "d"},
        "nodeSelector": {"karpenter.sh/capacity-type": "on-demand"},
        "tolerations": [{"operator": "Exists"}],
    },
}
