"""Puts our stanza into texts as a process of its own, which can be stopped: from standard input to standard output.

Texts come from anybody who may write a ConfigMap. Reading one takes what a process that answers the scheduler has not:
time, and memory many times its length.
"""

import os
import resource
import sys
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from extender.core.model.errors import WireError
from extender.schedulerconfig.inject import inject
from extender.schedulerconfig.read import Stanza

SECONDS = 5
"""Time of the processor that it may take."""
MEMORY = 384 * 1024 * 1024
"""Bytes of addresses that it may have."""


class Task(Struct, frozen=True):
    """What is to be put into which texts, by key."""

    stanza: Stanza
    texts: Mapping[str, str]


class Done(Struct, frozen=True):
    """The texts that have changed; or what is wrong with one, and with which."""

    changed: Mapping[str, str] = {}
    key: str = ""
    wrong: str = ""


def work(task: Task) -> Done:
    """Put the stanza into every text that holds a scheduler's configuration."""
    changed = {}
    for key, text in task.texts.items():
        try:
            new = inject(text, task.stanza)
        except WireError as error:
            return Done(key=key, wrong=str(error))
        if new != text:
            changed[key] = new
    return Done(changed)


def main() -> None:
    """Do one task, behind whatever else the machine has to do."""
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    done = work(msgspec.json.decode(sys.stdin.buffer.read(), type=Task))
    sys.stdout.buffer.write(msgspec.json.encode(done))


if __name__ == "__main__":
    main()
