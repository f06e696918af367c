"""Whether the process is ready to answer."""

from collections.abc import Iterator, Mapping

from extender.kube.reflector import Health
from extender.servers.tls import ReloadingTls


def cache_faults(health: Mapping[str, Health], stale_after: float, now: float) -> Iterator[str]:
    """What is not followed as it should be, a line each.

    Args:
        health: of each resource.
        stale_after: how long a resource may be silent, in seconds.
        now: monotonic seconds.
    """
    for key, each in health.items():
        reason = f" ({each.last_error})" if each.last_error else ""
        if not each.synced:
            yield f"{key}: not listed yet{reason}"
        elif each.last_contact is not None and now - each.last_contact > stale_after:
            yield f"{key}: not heard of for {now - each.last_contact:.0f} s{reason}"


def certificate_faults(certificates: Mapping[str, ReloadingTls], now: float) -> Iterator[str]:
    """Certificates that are not valid any more, a line each; `now` is in seconds since the epoch."""
    for server, tls in certificates.items():
        if tls.ends is not None and tls.ends <= now:
            yield f"{server}: the certificate in {tls.source} is not valid any more; put a newer one there"
