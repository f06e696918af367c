"""The web console: pages that show what Spotmix knows, wants and does. Nothing can be changed through it.

Pages are rendered here from templates, and work without scripts; htmx and a script of our own keep them current. All
that a browser needs is in this package. `app` answers requests, `access` says who may look at what, `signin` signs
people in and out, `sessions` keeps their tokens; `pages` and `nodes` say what is on each page, `live` streams
decisions, `runs` makes one of such as repeat one another, `rendering` fills in templates, `query` reads what the
address says, `bars` lays out splits and `assets` holds the files. What it shares with the gRPC API is in
`servers.answers`.

Jinja2 is imported when the first page is asked for, and beside the event loop: most replicas never show one.
"""

from extender.servers.console.app import ConsoleApp

__all__ = ["ConsoleApp"]
