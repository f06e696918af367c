"""What others connect to: the extender, health and metrics.

Imports `wire` and `core` alone; ports come from runtime.
"""
