"""Spotmix: keeps every workload at the split between capacity classes that its owner asked for."""

# The one place of the version: the package and the Makefile read it here, a test holds the chart and pages to it.
__version__ = "0.1.0"
