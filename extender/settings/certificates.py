"""The settings of a certificate that Spotmix makes and renews by itself."""

from typing import Annotated

from extender.settings.values import DNS_NAME, IPS, NAME, Section, doc, duration


class OwnCertificateSettings(Section, frozen=True):
    """A certificate in a Secret, and its CA."""

    secret: Annotated[
        str,
        doc(
            "Secret, in Spotmix's own namespace, that holds the CA and the certificate; empty makes no certificate",
            NAME,
        ),
        DNS_NAME,
    ] = ""
    service: Annotated[
        str,
        doc("Service that is called; its DNS names go into the certificate", NAME),
        DNS_NAME,
    ] = "spotmix"
    dns_names: Annotated[tuple[str, ...], doc("Further DNS names that go into the certificate")] = ()
    ip_addresses: Annotated[tuple[str, ...], doc("IP addresses that go into the certificate", IPS)] = ()
    validity: Annotated[str, duration("How long a certificate is valid")] = "2160h"
    ca_validity: Annotated[str, duration("How long a CA is valid")] = "87600h"
    renew_before: Annotated[str, duration("How long before its end a certificate is replaced")] = "720h"
