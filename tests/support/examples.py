"""How many examples Hypothesis tries: some in every run, many more with `--hypothesis-profile nightly`."""

from hypothesis import HealthCheck, settings

NIGHTLY = "nightly"
_ORDINARY = "ordinary"
_COUNT = 100
_MORE = 20


def register_profiles() -> None:
    """Make the profiles known; a slow example is no failure in any of them."""
    # Nor is it when a busy machine makes examples slowly.
    slowly = (HealthCheck.too_slow,)
    settings.register_profile(_ORDINARY, max_examples=_COUNT, deadline=None, suppress_health_check=slowly)
    settings.register_profile(NIGHTLY, max_examples=_COUNT * _MORE, deadline=None, suppress_health_check=slowly)
    settings.load_profile(_ORDINARY)


def examples(count: int) -> settings:
    """Try `count` examples in every run, twenty times as many nightly."""
    factor = _MORE if settings.get_current_profile_name() == NIGHTLY else 1
    return settings(max_examples=count * factor)
