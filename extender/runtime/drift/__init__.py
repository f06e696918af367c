"""The drift loop: what carries out the actions of `core.drift.controller`, on the replica that decides.

`loop` drives the controller; `mover` makes one move; `memory` keeps the history in the API; `freshness` says whether
what is known of the cluster may be relied on; `reports` and `spans` tell people of it all.
"""

from extender.runtime.drift.assembly import assemble, assemble_placeholders
from extender.runtime.drift.context import Channels, Context
from extender.runtime.drift.gauges import drift_readings
from extender.runtime.drift.loop import DriftLoop

__all__ = ["Channels", "Context", "DriftLoop", "assemble", "assemble_placeholders", "drift_readings"]
