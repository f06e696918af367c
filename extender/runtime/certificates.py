"""The serving certificates of one process: those that follow their files, and those that we make ourselves."""

import ssl
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from extender.core.model.errors import SpotmixError
from extender.kube.seams import KubeWatchApi, Report
from extender.servers.tls import ReloadingTls
from extender.settings import Settings
from extender.telemetry.logs import logger

if TYPE_CHECKING:
    from extender.runtime.certificate import ServingCertificate


class Certificates:
    """Every certificate that this process serves with.

    Args:
        settings: the configuration.
        client: keeps the Secrets of the certificates that we make ourselves.
        report: told of whatever goes wrong.

    Attributes:
        extender: for the extender's server; None serves plain HTTP.
        metrics: likewise for that of health, metrics and the console.
        webhook: for the webhook's server; None while it is off.
        own: by server, the certificates that we make and renew ourselves.

    Raises:
        ConfigError: a certificate cannot be used, or the namespace of the Secret is not known.
    """

    def __init__(self, settings: Settings, client: KubeWatchApi, report: Report) -> None:
        self._report = report
        self._log = logger()
        self._files: dict[str, ReloadingTls] = {}
        self.metrics = self._of_metrics(settings)
        self.own = _own(settings, client, report)
        self.extender = self._of_extender(settings)
        self.webhook = self._of_webhook(settings)

    def _of_extender(self, settings: Settings) -> ssl.SSLContext | None:
        if "extender" in self.own:
            return self.own["extender"].context
        tls = settings.extender.tls
        if not tls.cert:
            return None
        return self.follow("extender", ReloadingTls(tls.cert, tls.key, tls.client_ca))

    def _of_metrics(self, settings: Settings) -> ssl.SSLContext | None:
        tls = settings.metrics.tls
        return self.follow("metrics", ReloadingTls(tls.cert, tls.key)) if tls.cert else None

    def _of_webhook(self, settings: Settings) -> ssl.SSLContext | None:
        if not settings.webhook.enabled:
            return None
        if "webhook" in self.own:
            return self.own["webhook"].context
        tls = settings.webhook.tls
        return self.follow("webhook", ReloadingTls(tls.cert, tls.key))

    def follow(self, server: str, tls: ReloadingTls) -> ssl.SSLContext:
        """Read the files of a server's certificate again from time to time; gives what it is served with."""
        self._files[server] = tls
        return tls.context

    def ends(self) -> Mapping[str, float | None]:
        """Until when the certificate of each server is valid, in seconds since the epoch; None while there is none."""
        ends = {server: tls.ends for server, tls in self._files.items()}
        return ends | {server: certificate.ends for server, certificate in self.own.items()}

    def faults(self, now: float) -> Iterator[str]:
        """Certificates that are not valid, a line each; `now` is in seconds since the epoch."""
        for server, tls in self._files.items():
            fault = tls.validity.fault(now) if tls.validity is not None else ""
            if fault:
                yield f"{server}: the certificate in {tls.source} is {fault}; put one there that is, or set the clock"
        for certificate in self.own.values():
            yield from certificate.faults()

    def reload(self) -> None:
        """Read the files that have changed."""
        for server, tls in self._files.items():
            try:
                if tls.reload():
                    self._log.info("serving certificate read again", server=server)
            except SpotmixError as error:
                self._report(f"{server} tls", f"{error}; the last good certificate stays in force")


def _own(settings: Settings, client: KubeWatchApi, report: Report) -> "Mapping[str, ServingCertificate]":
    webhook, extender = settings.webhook.certificates, settings.extender.certificates
    if not (webhook.secret or extender.secret):
        return {}
    from extender.runtime.certificate import ServingCertificate  # noqa: PLC0415 - costly, see servers.tls

    own = {}
    if webhook.secret:
        own["webhook"] = ServingCertificate.of_webhook(webhook, client, report)
    if extender.secret:
        own["extender"] = ServingCertificate.of_extender(extender, client, report)
    return own
