"""A pytest plugin for runs against a mutant: they end, and the same mutant meets the same examples every time."""

import os
import resource

from hypothesis import HealthCheck, Phase, settings

CPU_SECONDS = "MUTANTS_CPU_SECONDS"
MEMORY = 4 << 30

PROFILE = "mutants"
settings.register_profile(
    PROFILE,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=(HealthCheck.too_slow,),
)

if CPU_SECONDS in os.environ:
    # Not of a clock on the wall, which a busy machine would run out.
    seconds = int(os.environ[CPU_SECONDS])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
