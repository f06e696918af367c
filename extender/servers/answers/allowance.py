"""How much callers may have at the same time: all of them together, and one alone.

Whoever reaches a port may take what is free there. One caller never gets so much that nothing is left for others.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address, IPv6Network, ip_address

ALL, CALLER = "all", "caller"
"""Whose limit was reached."""


class AllowanceSpentError(Exception):
    """There is no more to be had now; the text says whose limit it is."""


def host_of(address: str) -> str:
    """Who an address belongs to: itself, of IPv6 its network, from which one host has as many addresses as it likes."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped or IPv6Network((ip, 64), strict=False))


class Allowance:
    """So many things at a time.

    Args:
        things: what they are, for people; in the plural.
        most: of all callers.
        of_one: of one caller.
        refused: told whose limit was reached, each time.
    """

    def __init__(
        self, things: str, most: int, of_one: int, refused: Callable[[str], None] = lambda _limit: None
    ) -> None:
        self._things = things
        self._most = most
        self._of_one = of_one
        self._refused = refused
        self._of: Counter[str] = Counter()
        self._all = 0

    @contextlib.contextmanager
    def taken(self, caller: str) -> Iterator[None]:
        """Have one.

        Raises:
            AllowanceSpentError: there is none for this caller.
        """
        if self._of[caller] >= self._of_one:
            self._refused(CALLER)
            raise AllowanceSpentError(
                f"you have as many {self._things} as one caller may at a time, {self._of_one}; end one, or try later"
            )
        if self._all >= self._most:
            self._refused(ALL)
            raise AllowanceSpentError(
                f"there are as many {self._things} as may be at a time, {self._most}; try again later"
            )
        self._of[caller] += 1
        self._all += 1
        try:
            yield
        finally:
            self._all -= 1
            self._of[caller] -= 1
            if not self._of[caller]:
                del self._of[caller]
