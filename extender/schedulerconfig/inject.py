"""Putting our stanza into the text of a KubeSchedulerConfiguration."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from extender.core.model.errors import WireError
from extender.schedulerconfig.read import SCORING, Stanza, entries, go_seconds, is_configuration, own_entry, read
from extender.schedulerconfig.yamledit import Edits
from extender.schedulerconfig.yamltree import YamlNode, fault


class Injection(Struct, frozen=True):
    """What came of an injection.

    Attributes:
        text: the configuration with our stanza; the very text that was given when nothing had to change.
        configurations: how many KubeSchedulerConfigurations the text holds.
        changes: what was done, a line of text each.
    """

    text: str
    configurations: int
    changes: tuple[str, ...]


def inject(text: str, stanza: Stanza) -> str:
    """Put our stanza into every KubeSchedulerConfiguration of a YAML or JSON text; see `injected`."""
    return injected(text, stanza).text


def injected(text: str, stanza: Stanza) -> Injection:
    """Put our stanza into every KubeSchedulerConfiguration of a YAML or JSON text, and say what was done.

    An entry of ours (see `ours`) is brought up to date in place: fields that the stanza says are set, `tlsConfig` is
    ours as a whole, all other fields stay. Without one, ours is added after the others. Everything else stays as it
    is, byte for byte. Documents of another kind are left alone; so is a text that names no such configuration, whatever
    it is.

    Raises:
        WireError: a configuration is invalid or of another version; the text names line, column, field, value and fix.
    """
    bom = text[: text.startswith("\ufeff")]
    body = text[len(bom) :]
    roots, known = read(body)
    edits = Edits(body)
    changes = [change for root in known for change in _put(edits, root, stanza)]
    if not changes:
        return Injection(text, len(known), ())
    result = edits.apply()
    _verify(roots, result, stanza)
    return Injection(bom + result, len(known), tuple(changes))


def _put(edits: Edits, root: YamlNode, stanza: Stanza) -> Iterator[str]:
    """Note the edits that put the stanza in, and say each."""
    own = own_entry(root, stanza)
    if own is None:
        edits.append_to(root, "extenders", stanza.entry())
        yield f"line {root.line}: our extender is added as extenders[{len(entries(root))}]"
        return
    index, entry = own
    extenders = root.get("extenders")
    written = extenders.items[index] if extenders is not None and extenders.kind == "sequence" else None
    said = list(_update(edits, entry, stanza))
    if said and (written is None or written.kind == "alias" or entry.get("<<") is not None):
        raise fault(entry, f"extenders[{index}]", "is ours and takes part in an anchor or merge; write it out in full")
    if said:
        yield f"line {entry.line}: our extender, extenders[{index}], is updated: {', '.join(said)}"


def _update(edits: Edits, entry: YamlNode, stanza: Stanza) -> Iterator[str]:
    wanted = stanza.entry()
    tls = wanted.pop("tlsConfig", None)
    missing = {}
    spare = [field for field in SCORING if field not in wanted and entry.find(field) is not None]
    for field, value in {**wanted, "enableHTTPS": stanza.enable_https}.items():
        node = entry.find(field)
        if _says(node, field, value):
            continue
        if node is None:
            missing[field] = value
            yield f"{field} {_shown(value)}"
        else:
            edits.set(entry, field, value)
            yield f"{field} {node.seen} -> {_shown(value)}"
    present = entry.find("tlsConfig")
    if present is not None and (not tls or present.kind != "mapping"):
        spare.append("tlsConfig")
        present = None
    if tls and present is None:
        missing["tlsConfig"] = tls
        yield "tlsConfig"
    elif tls and present is not None and edits.make(entry, "tlsConfig", tls):
        yield "tlsConfig"
    if missing:
        edits.add(entry, missing)
    if spare:
        edits.remove(entry, spare)
        yield " and ".join(spare) + " removed"


def _says(node: YamlNode | None, field: str, value: Any) -> bool:
    """Whether a field's value amounts to what is wanted, as kube-scheduler reads it."""
    if node is None or node.scalar is None:
        return value is False
    if field == "httpTimeout" and isinstance(node.scalar, str):
        return go_seconds(node.scalar) == go_seconds(value)
    return bool(node.scalar == value)


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _verify(before: list[YamlNode], result: str, stanza: Stanza) -> None:
    """Read the edited text again: our entries are right, and nothing else has changed."""
    try:
        after, _ = read(result)
        safe = len(after) == len(before) and all(
            _kept(old, new, stanza) for old, new in zip(before, after, strict=True)
        )
    except WireError as error:
        raise _unsafe(before) from error
    if not safe:
        raise _unsafe(before)


def _kept(old: YamlNode, new: YamlNode, stanza: Stanza) -> bool:
    if not is_configuration(old):
        return old.digest == new.digest
    own, earlier = own_entry(new, stanza) if is_configuration(new) else None, own_entry(old, stanza)
    if own is None or any(_update(Edits(""), own[1], stanza)):
        return False
    return _others(new, own[1]) == _others(old, earlier[1] if earlier else None)


def _others(root: YamlNode, own: YamlNode | None) -> list[object]:
    """What is not to change."""
    managed = {*Stanza(url_prefix="").entry(), *SCORING, "enableHTTPS", "tlsConfig"}
    rest: list[object] = [(k.target.value, v.digest) for k, v in root.pairs if k.target.value != "extenders"]
    rest += [entry.digest for entry in entries(root) if entry is not own]
    rest += sorted((k.target.value, v.digest) for k, v in (own.pairs if own else ()) if k.target.value not in managed)
    return rest


def _unsafe(roots: list[YamlNode]) -> WireError:
    root = next(root for root in roots if is_configuration(root))
    what = "is written in a way that cannot be edited safely; write it as a plain list without anchors and merges"
    return fault(root.find("extenders") or root, "extenders", what)
