"""resourceVersions: comparable as numbers since KEP-5504, and always were; what is no number compares with nothing."""


def is_as_new(seen: str, wanted: str) -> bool:
    """Whether one version is as new as another."""
    return seen.isdecimal() and wanted.isdecimal() and int(seen) >= int(wanted)


def is_older(shown: str, seen: str) -> bool:
    """Whether one version is from before another."""
    return shown.isdecimal() and seen.isdecimal() and int(shown) < int(seen)
