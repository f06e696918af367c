"""Reviews that are read, and patches that are written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.reviews import answer, encoded, patched, pod

from extender.core.admission.mutate import Mutation
from extender.core.model.errors import WireError
from extender.core.model.objects import Namespace, Owner, OwnerRef
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Toleration
from extender.wire.admission_v1 import (
    data_patches,
    decode_config_map,
    decode_pod,
    decode_workload,
    encode_answer,
    read_uid,
)

OWNER = OwnerRef("rs", "apps/v1", "ReplicaSet", "web-1")
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
TERM = ((Requirement("a/b~c", "In", ("x", "y")), Requirement("d", "DoesNotExist")),)
WRITTEN = {
    "weight": 7,
    "preference": {
        "matchExpressions": [
            {"key": "a/b~c", "operator": "In", "values": ["x", "y"]},
            {"key": "d", "operator": "DoesNotExist"},
        ]
    },
}
TOLERATIONS = (Toleration("spot", "Equal", "true", "NoSchedule"), Toleration("cheap", "Exists", "", "NoExecute"))
TOLERATED = [
    {"key": "spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
    {"key": "cheap", "operator": "Exists", "effect": "NoExecute"},
]
EVERYTHING = Mutation("second", TOLERATIONS, TERM, 7)

META = {
    "name": "web",
    "uid": "u",
    "labels": {"spotmix.io/enabled": "true", "app": "web"},
    "annotations": {"spotmix.io/spot-percentage": "70", "other": "x"},
}


class TestPod:
    def test_what_is_read(self) -> None:
        expressions = [{"key": "zone", "operator": "Exists"}]
        thing = pod(
            OWNER,
            nodeSelector={"disk": "ssd"},
            tolerations=[
                {"operator": "Exists", "tolerationSeconds": 3},
                {"key": "k", "value": "v", "effect": "NoExecute"},
            ],
            affinity={
                "podAffinity": {},
                "nodeAffinity": {
                    REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": expressions}]},
                    PREFERRED: [
                        {
                            "weight": 1,
                            "preference": {
                                "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a"]}],
                                "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}],
                            },
                        }
                    ],
                },
            },
        )
        review = decode_pod(encoded(thing, dryRun=True))
        assert (review.uid, review.dry_run) == ("review-1", True)
        draft = review.draft
        assert draft is not None
        assert (draft.pod.owner, draft.pod.namespace, draft.pod.name, draft.pod.uid) == (
            OWNER,
            "shop",
            "web-1-a",
            "pod",
        )
        assert draft.scheduler_name == "default-scheduler"
        assert draft.tolerations == (Toleration(operator="Exists"), Toleration("k", "Equal", "v", "NoExecute"))
        assert draft.node_labels == {"disk", "zone", "tier"}

    @pytest.mark.parametrize(
        ("thing", "request_"),
        [
            (pod(OWNER), {"operation": "UPDATE"}),
            (pod(OWNER), {"operation": "CONNECT", "subResource": "exec"}),
            (pod(OWNER), {"subResource": "binding"}),
            (pod(OWNER, nodeName="n1"), {}),
            (None, {"operation": "DELETE", "oldObject": pod(OWNER)}),
        ],
    )
    def test_what_may_not_be_mutated(self, thing: Any, request_: dict[str, Any]) -> None:
        assert decode_pod(encoded(thing, **request_)).draft is None

    def test_a_pod_without_anything(self) -> None:
        draft = decode_pod(encoded({}, namespace=None)).draft
        assert draft is not None
        assert (draft.pod.owner, draft.tolerations, draft.node_labels) == (None, (), frozenset())

    @pytest.mark.parametrize(
        ("affinity", "path"),
        [
            ({}, "/spec/affinity"),
            ({"affinity": None}, "/spec/affinity"),
            ({"affinity": {}}, "/spec/affinity/nodeAffinity"),
            ({"affinity": {"podAffinity": {"x": []}, "nodeAffinity": None}}, "/spec/affinity/nodeAffinity"),
            ({"affinity": {"nodeAffinity": {}}}, f"/spec/affinity/nodeAffinity/{PREFERRED}"),
            ({"affinity": {"nodeAffinity": {PREFERRED: None}}}, f"/spec/affinity/nodeAffinity/{PREFERRED}"),
            ({"affinity": {"nodeAffinity": {PREFERRED: []}}}, f"/spec/affinity/nodeAffinity/{PREFERRED}/-"),
            (
                {"affinity": {"nodeAffinity": {PREFERRED: [{"weight": 1, "preference": {}}], REQUIRED: {}}}},
                f"/spec/affinity/nodeAffinity/{PREFERRED}/-",
            ),
        ],
    )
    @pytest.mark.parametrize("tolerations", [{}, {"tolerations": None}, {"tolerations": []}, {"tolerations": [{}]}])
    def test_patches_are_minimal_and_make_missing_parents(
        self, affinity: dict[str, Any], path: str, tolerations: dict[str, Any]
    ) -> None:
        thing = pod(OWNER, **affinity, **tolerations)
        operations = decode_pod(encoded(thing)).patches(EVERYTHING)
        result = patched(thing, operations)
        assert operations[-1]["path"] == path
        assert operations[0] == {"op": "replace", "path": "/spec/schedulerName", "value": "second"}
        before = tolerations.get("tolerations") or []
        assert result["spec"]["tolerations"] == [*before, *TOLERATED]
        node_affinity = result["spec"]["affinity"]["nodeAffinity"]
        earlier = ((affinity.get("affinity") or {}).get("nodeAffinity") or {}).get(PREFERRED) or []
        assert node_affinity[PREFERRED] == [*earlier, WRITTEN]
        # All else is as it was.
        for key in ("podAffinity",):
            assert result["spec"]["affinity"].get(key) == (affinity.get("affinity") or {}).get(key)
        assert result["metadata"] == thing["metadata"]
        assert result["spec"]["containers"] == thing["spec"]["containers"]

    def test_nothing_is_no_patch(self) -> None:
        review = decode_pod(encoded(pod(OWNER)))
        assert review.patches(Mutation()) == []
        assert [o["path"] for o in review.patches(Mutation("second"))] == ["/spec/schedulerName"]
        thing = pod(OWNER)
        del thing["spec"]["schedulerName"]
        (operation,) = decode_pod(encoded(thing)).patches(Mutation("second"))
        assert operation["op"] == "add"


class TestConfigMap:
    def test_what_is_read(self) -> None:
        thing = {"metadata": {"name": "config", "labels": {"a": "b"}}, "data": {"x": "y"}, "binaryData": {"z": "AA=="}}
        found = decode_config_map(encoded(thing, "ConfigMap"))
        assert (found.uid, found.name, found.labels, found.data) == ("review-1", "shop/config", {"a": "b"}, {"x": "y"})
        assert decode_config_map(encoded({**thing, "immutable": True}, "ConfigMap")).data == {"x": "y"}
        assert decode_config_map(encoded({**thing, "immutable": True}, "ConfigMap", operation="UPDATE")).data == {}
        assert decode_config_map(encoded(None, "ConfigMap", operation="DELETE")).data == {}

    @given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4))
    def test_keys_are_escaped(self, values: dict[str, str]) -> None:
        thing = {"data": dict.fromkeys(values, "old")}
        assert patched(thing, data_patches(values)) == {"data": values}

    def test_a_path_by_hand(self) -> None:
        assert data_patches({"a/b~c": "v"}) == [{"op": "replace", "path": "/data/a~1b~0c", "value": "v"}]


class TestWorkload:
    def test_an_owner(self) -> None:
        thing = {"metadata": META, "spec": {"replicas": 3, "template": {}}}
        found = decode_workload(encoded(thing, "Deployment", "apps", oldObject={"metadata": {}}), ("spotmix.io",))
        assert isinstance(found.new, Owner)
        assert (found.new.kind, found.new.namespace, found.new.name, found.new.replicas) == (
            "Deployment",
            "shop",
            "web",
            3,
        )
        assert found.new.labels == {"spotmix.io/enabled": "true"}
        assert found.new.annotations == {"spotmix.io/spot-percentage": "70"}
        assert isinstance(found.old, Owner)
        assert found.old.annotations == {}

    @pytest.mark.parametrize(
        ("spec", "replicas"),
        [({"parallelism": 4, "completions": 3}, 3), ({}, 1), ("what", 1), ({"parallelism": "many"}, 1)],
    )
    def test_a_job_and_specs_that_mean_something_else(self, spec: Any, replicas: int) -> None:
        found = decode_workload(encoded({"metadata": META, "spec": spec}, "Job", "batch"), ("spotmix.io",))
        assert isinstance(found.new, Owner)
        assert found.new.replicas == replicas

    def test_a_namespace(self) -> None:
        found = decode_workload(encoded({"metadata": META}, "Namespace", namespace="web"), ("spotmix.io",))
        assert isinstance(found.new, Namespace)
        assert found.new.name == "web"
        assert found.old is None

    def test_names_that_are_not_given_yet(self) -> None:
        thing = {"metadata": {"generateName": "run-"}}
        found = decode_workload(encoded(thing, "Job", "batch"), ("spotmix.io",))
        assert found.new is not None
        assert found.new.name == "run-*"

    @pytest.mark.parametrize(
        ("thing", "request_"),
        [
            (None, {"operation": "DELETE", "oldObject": {"metadata": META}}),
            ({"metadata": META}, {"subResource": "scale"}),
            ({"metadata": {**META, "deletionTimestamp": "2026-01-01T00:00:00Z"}}, {}),
        ],
    )
    def test_what_goes_or_is_something_else(self, thing: Any, request_: dict[str, Any]) -> None:
        assert decode_workload(encoded(thing, "Deployment", "apps", **request_), ("spotmix.io",)).new is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "does not decode"),
        (b"[]", "does not decode: Expected `object`"),
        (b"{}", "there is no request.uid; is this an AdmissionReview?"),
        (b'{"request":{"uid":""}}', "there is no request.uid"),
        (b'{"request":{"uid":7}}', r"Expected `str`, got `int` - at `\$.request.uid`"),
        (encoded({"spec": {"tolerations": {}}}), r"at `\$.request.object.spec.tolerations`"),
        (encoded({}, "Deployment", "apps"), "Pod expected, seen Deployment of group 'apps'; check the rules"),
        (encoded({}, ""), "Pod expected, seen an object without a kind"),
        (b"[" * 100_000, "does not decode"),
    ],
)
def test_what_is_no_review_of_a_pod(body: bytes, text: str) -> None:
    with pytest.raises(WireError, match=text):
        decode_pod(body)


@pytest.mark.parametrize(
    ("body", "uid"),
    [
        (encoded({"spec": 7}), "review-1"),
        (b'{"request":{"uid":"a","object":[[[1]]]}}', "a"),
        (b'{"request":{"uid":"a","uid":"b"}}', "b"),
        (b'{"request":null}', ""),
        (b'{"request":{"uid":null}}', ""),
        (b'{"request":{"uid":"a"', ""),
        (b"\xff", ""),
        (b'{"request":' * 50_000, ""),
    ],
)
def test_the_uid_is_read_when_it_can_be(body: bytes, uid: str) -> None:
    assert read_uid(body) == uid


class TestAnswer:
    def test_allowed_and_unchanged_says_no_more(self) -> None:
        body = encode_answer("u")
        assert json.loads(body)["response"] == {"uid": "u", "allowed": True}

    def test_denied(self) -> None:
        response = answer(encode_answer("u", denied="because", patches=[{"op": "add"}], warnings=["also"]))
        assert (response.allowed, response.patch, response.warnings) == (False, "", ["also"])
        assert response.status is not None
        assert (response.status.code, response.status.reason, response.status.message) == (422, "Invalid", "because")

    def test_warnings_fit_a_header(self) -> None:
        response = answer(encode_answer("u", warnings=["a\r\nX-Evil: 1\x00", "\u00e9" * 5000]))
        assert response.warnings[0] == "a  X-Evil: 1 "
        assert response.warnings[1] == "\u00e9" * 997 + "..."
