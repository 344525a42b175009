"""What holds for every suite."""

from .support.profiles import register_profiles

register_profiles()
