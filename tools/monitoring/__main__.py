"""Writes what this package makes."""

from monitoring.files import write

write()
