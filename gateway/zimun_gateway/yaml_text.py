"""YAML in which each part can be read by itself."""

import yaml


class PlainDumper(yaml.SafeDumper):
    """Dumps YAML without anchors: equal objects are written out in each place."""

    def ignore_aliases(self, _: object) -> bool:
        """Tell the library that no object is worth an anchor."""
        return True


def yaml_text(value: object, dumper: type[PlainDumper] = PlainDumper) -> str:
    """A value as YAML, its fields in their order."""
    return yaml.dump(value, Dumper=dumper, sort_keys=False, width=100, allow_unicode=True)
