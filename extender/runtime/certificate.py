"""A serving certificate that is made and renewed by ourselves: what keeps it, joined with what serves it.

::

    certificate = ServingCertificate.of_webhook(settings.webhook.certificates, client, report)
    server = HttpServer(app, listener, certificate.context)
    task = asyncio.create_task(certificate.run())
    certificate.faults()  # for readiness
    certificate.ends      # for the metric
"""

import ssl
from datetime import UTC, datetime
from typing import Self

from extender.core.policy.values import parse_duration
from extender.kube.certificates import CertificateKeeper, Place, Serving
from extender.kube.seams import KubeWatchApi, Report, Timing
from extender.pki.rotation import Rules
from extender.pki.x509 import Names, service_names
from extender.runtime.whoami import needed_namespace
from extender.servers.tls import MemoryTls
from extender.settings.certificates import OwnCertificateSettings
from extender.settings.sections.webhook import CertificateSettings
from extender.telemetry.logs import logger

# Replicas act at different times: up to this share of `renewBefore` later than it says.
SPREAD = 0.1


class ServingCertificate:
    """A serving certificate that Spotmix makes and renews itself.

    Args:
        api: the API client.
        place: the Secret, and the configurations that its CA goes into.
        rules: what certificates shall be like.
        report: told of whatever goes wrong.
        timing: where clock, sleep and jitter come from.

    Attributes:
        context: for the server; the newest certificate is chosen at each handshake.
    """

    def __init__(
        self, api: KubeWatchApi, place: Place, rules: Rules, report: Report, *, timing: Timing | None = None
    ) -> None:
        self._tls = MemoryTls(verifies=rules.clients)
        self._log = logger()
        self.context: ssl.SSLContext = self._tls.context
        self._keeper = CertificateKeeper(
            api,
            place,
            rules,
            self._serve,
            report,
            told=lambda text: self._log.info("certificates", done=text),
            timing=timing,
        )

    @classmethod
    def of_webhook(cls, settings: CertificateSettings, api: KubeWatchApi, report: Report) -> Self:
        """Make the webhook's as the settings say, which name a Secret.

        Raises:
            ConfigError: the namespace of the Secret is not known.
        """
        namespace = needed_namespace("webhook.certificates.secret", "")
        place = Place(namespace, settings.secret, settings.configurations)
        return cls(api, place, _rules(settings, namespace, clients=False), report)

    @classmethod
    def of_extender(cls, settings: OwnCertificateSettings, api: KubeWatchApi, report: Report) -> Self:
        """Make the extender's likewise, and one for its clients, who have to show it.

        Raises:
            ConfigError: the namespace of the Secret is not known.
        """
        namespace = needed_namespace("extender.certificates.secret", "")
        place = Place(namespace, settings.secret, server="extender")
        return cls(api, place, _rules(settings, namespace, clients=True), report)

    @property
    def ends(self) -> float | None:
        """Until when the certificate that is served is valid, in seconds since the epoch; None while there is none."""
        return self._tls.ends

    def faults(self) -> list[str]:
        """Why no valid certificate is served, a line each; empty when one is."""
        return self._keeper.faults()

    async def run(self) -> None:
        """Follow the Secret, renew what is due and keep the configurations' CA bundle, until cancelled."""
        await self._keeper.run()

    def _serve(self, serving: Serving) -> None:
        self._tls.load(serving.cert, serving.key, serving.ca)
        self._log.info("serving certificate", until=datetime.fromtimestamp(serving.validity.ends, UTC).isoformat())


def _rules(settings: OwnCertificateSettings, namespace: str, *, clients: bool) -> Rules:
    names = service_names(settings.service, namespace) if settings.service else ()
    return Rules(
        Names((*names, *settings.dns_names), settings.ip_addresses),
        parse_duration(settings.validity),
        parse_duration(settings.ca_validity),
        parse_duration(settings.renew_before),
        1.0 - Timing().uniform(0.0, SPREAD),
        clients,
    )
