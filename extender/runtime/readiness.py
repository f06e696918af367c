"""Whether the process is ready to answer."""

from collections.abc import Iterator, Mapping

from extender.servers.tls import ReloadingTls


def certificate_faults(certificates: Mapping[str, ReloadingTls], now: float) -> Iterator[str]:
    """Certificates that are not valid any more, a line each; `now` is in seconds since the epoch."""
    for server, tls in certificates.items():
        if tls.ends is not None and tls.ends <= now:
            yield f"{server}: the certificate in {tls.source} is not valid any more; put a newer one there"
