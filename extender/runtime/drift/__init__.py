"""The drift loop: what acts on the plans of `core.drift`, on the replica that decides.

`loop` says when to plan and what for; `moves` has moves made side by side, each by `mover`, and judges them; `memory`
keeps their history in the API, `freshness` says whether what is known of the cluster may be relied on, `patience` when
a workload may be tried again, `view` what the last plans said, and `reports` tells people of it all.
"""

from extender.runtime.drift.assembly import assemble
from extender.runtime.drift.gauges import drift_readings
from extender.runtime.drift.loop import DriftLoop
from extender.settings.rules import drift_rules

__all__ = ["DriftLoop", "assemble", "drift_readings", "drift_rules"]
