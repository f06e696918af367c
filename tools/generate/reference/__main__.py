"""Writes the pages."""

from generate.reference import write

write()
