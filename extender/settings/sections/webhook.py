"""Sections of the webhook."""

from typing import Annotated, Literal

from msgspec import Meta, field

from extender.settings.certificates import OwnCertificateSettings
from extender.settings.values import ADDRESS, BYTES, FILE, NAME, RELOADED, TAINTS, WEIGHT, Section, doc


class CertificateSettings(OwnCertificateSettings, frozen=True):
    """The webhook's serving certificate, where Spotmix makes and renews it by itself."""

    configurations: Annotated[
        tuple[str, ...],
        doc("MutatingWebhookConfigurations and ValidatingWebhookConfigurations whose caBundle is kept equal to the CA"),
    ] = ()


class WebhookTlsSettings(Section, frozen=True):
    """The webhook's serving certificate, where it comes from files. They are read again when they change."""

    cert: Annotated[str, doc("PEM file of the webhook's serving certificate", FILE)] = ""
    key: Annotated[str, doc("PEM file of the private key of the webhook's certificate", FILE)] = ""


class WebhookSettings(Section, frozen=True):
    """The admission webhook, which checks policies and prepares pods when they are created."""

    enabled: Annotated[bool, doc("Serve the admission webhook; it needs a certificate")] = False
    addr: Annotated[str, doc("Address that the webhook listens on, by HTTPS", ADDRESS)] = "0.0.0.0:9443"
    max_body: Annotated[
        int, doc("Largest admission review that the webhook accepts, in bytes", BYTES), Meta(ge=1024)
    ] = 3 * 1024 * 1024
    tls: WebhookTlsSettings = field(default_factory=WebhookTlsSettings)
    certificates: CertificateSettings = field(default_factory=CertificateSettings)
    default_scheduler_name: Annotated[
        str,
        doc(
            "The schedulerName that managed pods get where workload and Namespace name none; empty changes none",
            NAME,
        ),
        Meta(max_length=253),
        RELOADED,
    ] = ""
    invalid_policies: Annotated[
        Literal["warn", "deny"],
        doc("What happens to a workload whose annotations are wrong: warn about it, or deny it"),
        RELOADED,
    ] = "warn"
    preference_weight: Annotated[
        int,
        doc(
            "Weight of the preferred node affinity that pods get towards the class that their workload is short of; "
            "0 adds no affinity",
            WEIGHT,
        ),
        Meta(ge=0, le=100),
        RELOADED,
    ] = 50
    extra_spot_taints: Annotated[
        tuple[str, ...],
        doc(
            "Further taints of spot nodes, which pods get a toleration for; without a value all values are tolerated",
            TAINTS,
        ),
        RELOADED,
    ] = ()
