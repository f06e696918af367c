"""Logs and metrics. Imports `core` alone."""
