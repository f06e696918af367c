"""The real kube-scheduler reads what is rendered and injected as it was meant, and refuses what we refuse."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.certificates import Authority
from support.patience import stretched

from extender.core.model.errors import WireError
from extender.sandbox.assets import find_assets
from extender.schedulerconfig.check import check
from extender.schedulerconfig.inject import inject
from extender.schedulerconfig.read import API_VERSION, KIND, Stanza
from extender.schedulerconfig.render import render

pytestmark = [pytest.mark.controlplane]

HEAD = f"apiVersion: {API_VERSION}\nkind: {KIND}\n"
PLAIN = Stanza(url_prefix="http://127.0.0.1:8888/scheduler")
VERBS = "filterVerb: filter\n  prioritizeVerb: prioritize\n  tlsConfig: {insecure: true}"
ENTRY = "urlPrefix: http://127.0.0.1:8888/scheduler"


class ConfigReader:
    """Starts kube-scheduler up to the point where it has read its configuration and made its extenders."""

    def __init__(self, folder: Path) -> None:
        self._binary = find_assets() / "kube-scheduler"
        self._folder = folder
        user = {"server": "https://127.0.0.1:1"}
        kubeconfig = {
            "clusters": [{"name": "x", "cluster": user}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "current-context": "x",
        }
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(kubeconfig))

    def read(self, text: str, *flags: str) -> tuple[dict[str, Any] | None, str]:
        """What the scheduler makes of a configuration, defaults included, or None; and what it logged."""
        given, seen = self._folder / "config.yaml", self._folder / "seen.yaml"
        seen.unlink(missing_ok=True)
        given.write_bytes(
            text.replace("clientConnection: {}", f"clientConnection: {{kubeconfig: {self.kubeconfig}}}").encode()
        )
        command = [str(self._binary), f"--config={given}", f"--write-config-to={seen}", "--secure-port=0", *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=stretched(60), check=False)
        return (yaml.safe_load(seen.read_text()) if done.returncode == 0 else None), done.stderr


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ConfigReader:
    return ConfigReader(tmp_path_factory.mktemp("reader"))


def secure(folder: Path) -> Stanza:
    authority = Authority("reader CA")
    client = authority.issue(folder, "client")
    return Stanza(
        url_prefix="https://spotmix.spotmix-system.svc:8888/scheduler",
        enable_https=True,
        ca_data=authority.write(folder / "ca.pem").read_bytes(),
        cert_file=str(client.cert),
        key_file=str(client.key),
        server_name="spotmix",
    )


def test_the_scheduler_reads_in_a_rendered_configuration_what_we_wrote(reader: ConfigReader, tmp_path: Path) -> None:
    for stanza in (PLAIN, secure(tmp_path)):
        text = render(stanza, ("a", "b"), kubeconfig=str(reader.kubeconfig), percentage=100)
        seen, log = reader.read(text)
        assert seen is not None, log
        assert [profile["schedulerName"] for profile in seen["profiles"]] == ["a", "b"]
        assert seen["percentageOfNodesToScore"] == 100
        assert seen["leaderElection"]["resourceName"] == "a-scheduler"
        # The scheduler writes no field that has its default.
        assert seen["extenders"] == [{k: v for k, v in stanza.entry().items() if v is not False}]


def test_beside_a_file_kubeadms_kubeconfig_flag_does_not_count_and_its_election_flag_does(reader: ConfigReader) -> None:
    text = HEAD + CLIENT + "leaderElection: {leaderElect: false}\n"
    seen, log = reader.read(inject(text, PLAIN), "--kubeconfig=/nowhere", "--leader-elect=true")
    assert seen is not None, log
    assert seen["clientConnection"]["kubeconfig"] == str(reader.kubeconfig)
    assert seen["leaderElection"]["leaderElect"] is True


CLIENT = "clientConnection: {}\n"
OTHER = "extenders:\n  # theirs\n  - urlPrefix: http://a\n    filterVerb: f\n"
JSON = {
    "kind": KIND,
    "apiVersion": API_VERSION,
    "clientConnection": {"qps": 5},
    "extenders": [{"urlPrefix": "http://a"}],
}


@pytest.mark.parametrize(
    "text",
    [
        HEAD + CLIENT,
        HEAD + CLIENT + OTHER,
        (HEAD + CLIENT + OTHER).replace("\n", "\r\n"),
        HEAD + CLIENT + "extenders: [] # none\nparallelism: 0x10",
        "# first\n---\n" + HEAD + CLIENT + "...\n---\nkind: Pod\n",
        HEAD + CLIENT + f"extenders:\n- {ENTRY}\n  nodeCacheCapable: on\n  weight:\t3\n  {VERBS}\n",
        HEAD + CLIENT + "extenders:\n- &a\n  urlPrefix: http://a\n- *a\n",
        *(json.dumps({**JSON, "clientConnection": {}}, indent=indent) for indent in (None, 2, "\t")),
    ],
)
def test_the_scheduler_reads_an_injected_configuration(reader: ConfigReader, text: str, tmp_path: Path) -> None:
    text = text.replace('"clientConnection": {}', f'"clientConnection": {{"kubeconfig": "{reader.kubeconfig}"}}')
    before, log = reader.read(text)
    assert before is not None, log
    theirs = [entry for entry in before.pop("extenders", []) if entry["urlPrefix"] == "http://a"]
    for stanza in (PLAIN, secure(tmp_path)):
        after, log = reader.read(inject(text, stanza))
        assert after is not None, log
        assert after.pop("extenders") == [*theirs, {k: v for k, v in stanza.entry().items() if v is not False}]
        assert after == before


@pytest.mark.parametrize(
    "text",
    [
        "extenders: {}\n",
        "extenders: none\n",
        "extenders:\n- a\n",
        "extenders:\n- weight: high\n",
        "extenders:\n- weight: '5'\n",
        "extenders:\n- ignorable: 1\n",
        "extenders:\n- urlPrefix: [a]\n",
        "extenders:\n- httpTimeout: 5\n",
        "extenders:\n- httpTimeout: 5 s\n",
        "extenders:\n- tlsConfig: on\n",
        "kind: KubeSchedulerConfiguration\n",
        "extenders:\n\t- a\n",
        "extenders: &a [*a]\n",
    ],
)
def test_what_we_refuse_the_scheduler_refuses(reader: ConfigReader, text: str) -> None:
    with pytest.raises(WireError):
        inject(HEAD + CLIENT + text, PLAIN)
    assert reader.read(HEAD + CLIENT + text)[0] is None


@pytest.mark.parametrize(
    "text", [f"{{kind: {KIND}, apiVersion: {API_VERSION}}}", HEAD.replace("/v1", "/v1beta3"), f"kind: {KIND}\n"]
)
def test_other_kinds_of_text_that_both_refuse(reader: ConfigReader, text: str) -> None:
    with pytest.raises(WireError):
        inject(text, PLAIN)
    assert reader.read(text)[0] is None


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ("prioritizeVerb: prioritize", "must have a positive weight"),
        ("bindVerb: a\n- urlPrefix: http://b\n  bindVerb: b", "only one extender can implement bind"),
        ("tlsConfig: {insecure: true, caData: QQ==}", "root certificates file with the insecure flag"),
        ("nodecachecapable: true", "unknown field"),
    ],
)
def test_the_scheduler_refuses_what_check_says_it_does(reader: ConfigReader, fields: str, refusal: str) -> None:
    text = f"{HEAD}{CLIENT}extenders:\n- {ENTRY}\n  {fields}\n"
    seen, log = reader.read(text)
    assert seen is None
    assert refusal in log
    assert any(finding.severity == "error" and "refuses" in finding.text for finding in check(text, PLAIN))
