"""The seat of a StatefulSet's pod: its ordinal says it."""

from extender.core.model.objects import Owner


def ordinal_of(name: str) -> int | None:
    """The ordinal at the end of a StatefulSet pod's name."""
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else None


def seat_of_ordinal(owner: Owner, pod: str) -> int | None:
    """The seat, counted from 1, of a pod (its name) by its ordinal; None where no ordinal says one.

    That is so for owners that are no StatefulSet, and for a pod whose name has no ordinal or one below the first.
    """
    ordinal = ordinal_of(pod) if owner.kind == "StatefulSet" else None
    return ordinal - owner.first_ordinal + 1 if ordinal is not None and ordinal >= owner.first_ordinal else None
