"""What a page shows of a command's output is compared line by line; only what differs from run to run may differ."""

from pathlib import Path

import pytest
from generate.pages import DOCS, blocks
from support.transcript import Step, same, steps

TABLE = """\
NAMESPACE   WORKLOAD         REPLICAS   SPOT   ON-DEMAND   PENDING   CONDITION
default     Deployment/web         10    7/7         3/3         0   on target

1 workload: all on target. Replicas: 7/7 spot, 3/3 on-demand.
"""


def test_commands_go_with_the_output_that_follows(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n```sh\none\n```\ntext\n\n```text\nshown\n..\n```\n```yaml\na: 1\n```\n```sh\ntwo\nthree\n```\n"
    )
    assert steps(page) == [Step("one\n", "shown\n..\n", 2), Step("two\nthree\n", None, 14)]


def test_every_block_of_the_tutorial_is_run_or_compared() -> None:
    page = DOCS / "tutorial" / "first-split.md"
    found = blocks(page.read_text())
    assert {block.info for block in found} == {"sh", "text"}
    assert len(found) == len(steps(page)) + sum(step.shown is not None for step in steps(page))


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        (TABLE, TABLE),
        ("..\n1 workload: all on target. Replicas: 7/7 spot, 3/3 on-demand.\n", TABLE),
        ("NAMESPACE WORKLOAD REPLICAS SPOT ON-DEMAND PENDING CONDITION\n..\n", TABLE),
        ("..\n", ""),
        ("web-75b76dddd9-qgg7h   999999", "web-6d4cf56db6-abcde   999999"),
        ("web-75b76dddd9-x2v6p 3 spot spot-2 ready", "web-75b76dddd9-x2v6p 3 spot spot-0 ready"),
        ("spot-0   Ready   9s   v1", "spot-0   Ready   1m4s   v1"),
        (
            "  Normal  Handled  6s  it went",
            "  Normal  Handled  2s (x3 over 12s)  it went",
        ),
        ("at 127.0.0.1:1234", "at 127.0.0.1:56789"),
        (
            "in /tmp/spotmix-sandbox-1000/run-6737559d/admin.kubeconfig",
            "in /tmp/pytest-of-me/first/spotmix-sandbox-0/run-00ff/admin.kubeconfig",
        ),
    ],
)
def test_the_same(shown: str, seen: str) -> None:
    assert same(shown, seen)


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        (TABLE, TABLE.replace("7/7", "6/7", 1)),
        (TABLE, TABLE.replace("SPOT   ON-DEMAND", "ON-DEMAND   SPOT")),
        (TABLE, TABLE + "another line\n"),
        (TABLE, TABLE.rpartition("\n1 workload")[0]),
        ("..\n2 workloads\n", TABLE),
        ("a\n..\nb\n", "a\nb\nc\n"),
        ("web-75b76dddd9-x2v6p 3 spot spot-2 ready", "web-75b76dddd9-x2v6p 3 spot on-demand-0 pending"),
        ("web-75b76dddd9-x2v6p 3 spot spot-2 ready", "web-75b76dddd9-x2v6p 3 on-demand on-demand-2 ready"),
        ("web-75b76dddd9-x2v6p 3 spot spot-2 ready", "web-75b76dddd9-x2v6p 3 spot on-demand-2 ready"),
        ("No resources found", "web-75b76dddd9-x2v6p 3 spot spot-2 ready"),
        ("10 replicas", "11 replicas"),
    ],
)
def test_not_the_same(shown: str, seen: str) -> None:
    assert not same(shown, seen)


@pytest.mark.parametrize(
    ("commands", "reads"),
    [
        ("spotmix status\n", True),
        ("kubectl get pods\n", True),
        ("kubectl describe deployment web\n", True),
        ("spotmix sandbox up\n", False),
        ("kubectl scale deployment web --replicas=4\n", False),
        ("kubectl delete node spot-0\nspotmix drift plan\n", False),
    ],
)
def test_only_commands_that_change_nothing_are_run_again(commands: str, *, reads: bool) -> None:
    assert Step(commands, "", 1).reads() == reads
