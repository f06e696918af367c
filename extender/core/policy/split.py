"""A split over any classes as one text, the value of the key `classes`, and the seats that it asks for.

The classes are separated by commas, in order of preference where weights tie; what each gets follows its name:
`reserved max=4, on-demand base=2 weight=30, spot weight=70 max=80%`. The fields are those of `spec.classes` of a policy
object. How many replicas of spot one pool may hold is said by `max-per-pool`, here of every other class.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.policies import ClassWish
from extender.core.policy.apportionment import ApportionedSeats, ClassShare
from extender.core.policy.seats import Seats
from extender.core.policy.values import BadValueError, PoolCap, parse_percentage, parse_pool_cap, parse_replicas

MOST_CLASSES = 16
WEIGHT, BASE, MAX, MAX_PER_POOL = "weight", "base", "max", "maxPerPool"
_FIELDS = (BASE, WEIGHT, MAX, MAX_PER_POOL)
_EXAMPLE = 'such as "reserved max=4, on-demand base=2 weight=30, spot weight=70"'


class Split(Struct, frozen=True, gc=False):
    """What each class gets; `pool_caps` by class, without those that have none."""

    shares: tuple[ClassShare, ...]
    pool_caps: tuple[tuple[str, PoolCap], ...] = ()


def classes_text(wishes: Iterable[ClassWish]) -> str:
    """The classes of a policy object in one text, but for what one pool may hold of spot."""
    return ", ".join(" ".join((wish.name, *_wish_words(wish))) for wish in wishes)


def _wish_words(wish: ClassWish) -> Iterator[str]:
    if wish.base:
        yield f"{BASE}={wish.base}"
    if wish.weight is not None:
        yield f"{WEIGHT}={wish.weight}"
    if wish.most:
        yield f"{MAX}={wish.most}"
    if wish.most_per_pool and wish.name != SPOT:
        yield f"{MAX_PER_POOL}={wish.most_per_pool}"


def split_text(seats: Seats, pool_caps: Iterable[tuple[str, PoolCap]]) -> str:
    """The text of the split in force; empty where the keys of two classes say it."""
    if not isinstance(seats, ApportionedSeats):
        return ""
    caps = dict(pool_caps)
    return ", ".join(" ".join((each.capacity_class, *_words(each, caps))) for each in seats.shares)


def _words(share: ClassShare, caps: Mapping[str, PoolCap]) -> Iterator[str]:
    if share.floor:
        yield f"{BASE}={share.floor}"
    if share.weight is not None:
        yield f"{WEIGHT}={share.weight}"
    if share.cap is not None:
        yield f"{MAX}={share.cap}"
    if share.cap_percent is not None:
        yield f"{MAX}={share.cap_percent}%"
    if share.capacity_class in caps:
        yield f"{MAX_PER_POOL}={caps[share.capacity_class].text}"


@lru_cache(maxsize=256)
def parse_split(text: str) -> Split:
    """Read such a text; raises BadValueError."""
    shares, caps = [], []
    for part in text.split(","):
        name, *words = part.split() or [""]
        if not name or "=" in name:
            raise BadValueError("has a part that begins with no class", f"separate classes by commas, {_EXAMPLE}")
        said = dict(_field(name, word) for word in words)
        shares.append(_share(name, said))
        if MAX_PER_POOL in said:
            caps.append((name, _of(name, MAX_PER_POOL, said)))
    _check(shares)
    return Split(tuple(shares), tuple(caps))


def _field(name: str, word: str) -> tuple[str, str]:
    field, equals, value = word.partition("=")
    if field not in _FIELDS or not equals:
        raise BadValueError(f"says {word!r} of {name}", f"write {', '.join(_FIELDS)}, {_EXAMPLE}")
    if field == MAX_PER_POOL and name == SPOT:
        raise BadValueError(f"says {word!r} of spot", "write max-per-pool for what one pool may hold of spot")
    return field, value


def _of(name: str, field: str, said: Mapping[str, str]) -> PoolCap:
    try:
        return parse_pool_cap(said[field])
    except BadValueError as error:
        raise _within(name, field, said[field], error) from None


def _share(name: str, said: Mapping[str, str]) -> ClassShare:
    def number(field: str) -> int | None:
        if field not in said:
            return None
        try:
            return parse_replicas(said[field])
        except BadValueError as error:
            raise _within(name, field, said[field], error) from None

    floor = number(BASE) or 0
    if not said.get(MAX, "").endswith("%"):
        cap = number(MAX)
        if cap is not None and floor > cap:
            raise BadValueError(f"has a base of {name} above its max", "lower base, or raise max")
        return ClassShare(name, number(WEIGHT), floor=floor, cap=cap)
    try:
        percent = parse_percentage(said[MAX])
    except BadValueError as error:
        raise _within(name, MAX, said[MAX], error) from None
    return ClassShare(name, number(WEIGHT), floor=floor, cap_percent=percent)


def _within(name: str, field: str, value: str, error: BadValueError) -> BadValueError:
    fault, fix = error.args
    return BadValueError(f"says {field}={value} of {name}, which {fault}", fix)


def _check(shares: Collection[ClassShare]) -> None:
    names = [each.capacity_class for each in shares]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise BadValueError(f"names {twice} twice", "name each class once")
    if len(names) > MOST_CLASSES:
        raise BadValueError(f"names {len(names)} classes", f"name at most {MOST_CLASSES}")
    if not any(each.weight for each in shares):
        raise BadValueError("has no class with a weight", "give one to the class that takes what is left")
    capped = [each.capacity_class for each in shares if each.cap_percent is not None]
    if len(capped) > 1:
        others = " and ".join(capped)
        raise BadValueError(f"has a max in percent for {others}", "keep one of them, and write the others in replicas")


def parse_class_names(text: str) -> tuple[str, ...]:
    """Classes that are separated by commas; raises BadValueError."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or any(" " in name for name in names):
        raise BadValueError("is no list of classes", 'separate classes by commas, such as "on-demand, reserved"')
    return tuple(dict.fromkeys(names))


def check_known(named: Iterable[str], known: Collection[str]) -> None:
    """Raise BadValueError where a class is named that no node can be of."""
    for name in named:
        if name not in known:
            fix = f"write one of {', '.join(known)}, or add a rule for it to classes.extraRules"
            raise BadValueError(f"names {name}, a class that no rule of the cluster knows", fix)


def refined(split: Split, floor: int | None, base: int | None, cap: int | None) -> ApportionedSeats:
    """The seats of a split, with what a more specific place says of one class in place of what the split says of it.

    Args:
        split: of all classes.
        floor: on-demand replicas at least, and part of its share; None where nothing is said of it.
        base: likewise the first replicas, which are on-demand before any are shared.
        cap: spot replicas at most.
    """
    shares = list(split.shares)
    names = [each.capacity_class for each in shares]
    if floor is not None or base is not None:
        if ON_DEMAND not in names:
            shares.append(ClassShare(ON_DEMAND))
            names.append(ON_DEMAND)
        at = names.index(ON_DEMAND)
        shares[at] = replace(shares[at], floor=floor or 0, base=base or 0)
    if cap is not None and SPOT in names:
        at = names.index(SPOT)
        shares[at] = replace(shares[at], cap=cap, floor=min(shares[at].floor, cap))
    return _seats(tuple(shares))


@lru_cache(maxsize=256)
def _seats(shares: tuple[ClassShare, ...]) -> ApportionedSeats:
    """One for all workloads that say the same: it keeps what it has worked out."""
    return ApportionedSeats(shares)
