"""Kubernetes resource quantities (`250m`, `1.5Gi`, `1e3`), rounded up as the API server does.

Source: the grammar in `k8s.io/apimachinery/pkg/api/resource/quantity.go`.
"""

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

_GRAMMAR = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?")
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


@lru_cache(maxsize=4096)
def parse_quantity(text: str, scale: int = 1) -> int:
    """The quantity times `scale` (1000 for millicores), rounded up.

    Raises:
        ValueError: the text is no quantity; it names the text.
    """
    match = _GRAMMAR.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a resource quantity; write one such as 250m, 2 or 1.5Gi")
    number, suffix = match.groups(default="")
    if len(suffix) > 1 and suffix[0] in "eE" and suffix[-1] != "i":
        if abs(int(suffix[1:])) > 30:
            raise ValueError(f"{text!r} is not a resource quantity: its exponent is out of range")
        value = Decimal(number + suffix)
    else:
        value = Decimal(number) * _SUFFIXES[suffix]
    return int((value * scale).to_integral_value(ROUND_CEILING))
