"""Finds words in names."""

from collections.abc import Sequence


def matches(words: Sequence[str], *texts: str) -> bool:
    """Whether each word, which is in lower case, is in one of the texts, in any case."""
    if not words:
        return True
    text = "\n".join(texts).lower()
    return all(word in text for word in words)
