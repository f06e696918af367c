"""A selector of labels in the configuration file: as Kubernetes writes it, with nothing that it does not know."""

from typing import Literal

from msgspec import Struct

from extender.core.model.errors import ConfigError
from extender.core.model.selectors import LabelSelector, Requirement

_WITH_VALUES = ("In", "NotIn")


class Expression(Struct, frozen=True, forbid_unknown_fields=True):
    """One of `matchExpressions`."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()


class Selector(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """A `metav1.LabelSelector`; it is false where it selects everything."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[Expression, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.match_labels or self.match_expressions)

    def selector(self) -> LabelSelector:
        """The core's."""
        expressions = tuple(Requirement(each.key, each.operator, each.values) for each in self.match_expressions)
        return LabelSelector(tuple(sorted(self.match_labels.items())), expressions)

    def check(self, name: str) -> None:
        """Check what types do not say; `name` is that of the setting.

        Raises:
            ConfigError: an operator has values that it takes none of, or lacks them.
        """
        for each in self.match_expressions:
            if bool(each.values) != (each.operator in _WITH_VALUES):
                fix = "give it values" if each.operator in _WITH_VALUES else "take its values away"
                raise ConfigError(f"{name}: {each.operator} of {each.key} has values {list(each.values)}; {fix}")
