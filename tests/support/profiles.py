"""Hypothesis profiles: how many examples a property test tries.

`pytest --hypothesis-profile ci` chooses one; it is `dev` unless given.
"""

from typing import Any

from hypothesis import HealthCheck, settings

CI_EXAMPLES = 100
"""Examples that Hypothesis tries unless a test says otherwise."""

PROFILES = {"dev": CI_EXAMPLES // 10, "ci": CI_EXAMPLES, "nightly": CI_EXAMPLES * 25}

SUPPRESSED = (HealthCheck.too_slow, HealthCheck.data_too_large)
"""Checks that fail on a busy machine, or where a catalogue is a large example."""


def register_profiles() -> None:
    """Register all profiles, and load `dev`."""
    for name, count in PROFILES.items():
        settings.register_profile(
            name, max_examples=count, deadline=None, suppress_health_check=SUPPRESSED
        )
    settings.load_profile("dev")


def examples(count: int, *suppressed: HealthCheck, **changes: Any) -> settings:
    """Settings for `count` examples under `ci`, and in proportion under the other profiles."""
    return settings(
        max_examples=max(1, count * settings().max_examples // CI_EXAMPLES),
        suppress_health_check=[*SUPPRESSED, *suppressed],
        **changes,
    )
