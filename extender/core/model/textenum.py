"""An enum whose members have a text for people beside their label."""

from enum import Enum
from typing import Self


class TextEnum(Enum):
    """`value` is the label, for metrics and logs; `text` is for people."""

    text: str

    def __new__(cls, value: str, text: str) -> Self:
        """Attach the text to the member."""
        member = object.__new__(cls)
        member._value_ = value
        member.text = text
        return member

    def __str__(self) -> str:
        """The label."""
        return str(self.value)
