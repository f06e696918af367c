"""Every setting: its name in the file, its flag and environment variable, kind of value, default and effect.

Flag > environment > file > default. The file is YAML, versioned, and refuses unknown keys::

    apiVersion: spotmix.io/v1alpha1
    kind: SpotmixConfiguration
    extender:
      addr: 0.0.0.0:8888

`extender.addr` is `--extender-addr` and `SPOTMIX_EXTENDER_ADDR`. Values of lists and maps are given to flags and
environment variables as YAML (`[spotmix.io]`).

A running `spotmix serve` takes up a changed file as far as the settings in it are marked `RELOADED`, see `reload`.

`sections` declares the settings; help texts, errors and the reference are made from that, by way of `leaves`.
"""

from extender.settings.leaves import LEAVES, SECTIONS, Leaf, sections_of
from extender.settings.load import (
    API_VERSION,
    KIND,
    default_annotations,
    load_settings,
    render_settings,
    split_address,
)
from extender.settings.reference import render_reference
from extender.settings.reload import ConfigSource, Reload, reload_settings
from extender.settings.sections import Settings
from extender.settings.stanza import stanza_from

__all__ = [
    "API_VERSION",
    "KIND",
    "LEAVES",
    "SECTIONS",
    "ConfigSource",
    "Leaf",
    "Reload",
    "Settings",
    "default_annotations",
    "load_settings",
    "reload_settings",
    "render_reference",
    "render_settings",
    "sections_of",
    "split_address",
    "stanza_from",
]
