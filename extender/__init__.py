"""Spotmix: keeps every workload at the split between capacity classes that its owner asked for."""

__version__ = "0.1.0"
