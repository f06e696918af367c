"""How a decision is written for people."""

from datetime import datetime

from rich.text import Text

from extender.cli.output import BAD, GOOD, SOSO, Screen, print_json
from extender.core.answers.decisions import Entry


def time_of(seconds: float) -> str:
    """A time of the last day or so, as the clock here shows it."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M:%S.%f")[:-3]


def outcome_of(entry: Entry) -> Text:
    """The class that was given, coloured by what it is worth."""
    if not entry.given:
        # In audit mode every node passes.
        return Text("none", style=BAD) if not entry.passed else Text("any", style=SOSO)
    return Text(entry.given, style=GOOD if entry.given == entry.wanted else SOSO)


def line_of(entry: Entry) -> Text:
    """A decision on a line of its own, in columns that need not be known beforehand."""
    who = f"{entry.kind}/{entry.workload}" if entry.workload else "-"
    pod = f"{entry.namespace}/{entry.pod}"
    text = Text(f"{time_of(entry.at)}  {pod:<40}  {who:<28}  {entry.wanted or '-':<9}  ")
    text.append_text(outcome_of(entry))
    pad = max(0, 9 - len(entry.given or "none"))
    return text.append(f"{'':{pad}}  {entry.reason!s:<15}  {entry.passed}/{entry.offered} nodes")


class Lines:
    """Prints decisions, each as a line of a table or a JSON object, and each at once."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._screen = Screen()

    def __call__(self, entry: Entry) -> None:
        """Print one."""
        if self._as_json:
            print_json(entry)
        else:
            self._screen.print(line_of(entry))
