"""Bytes to and from core types: msgspec Structs that decode only what is used. Imports `extender.core` alone."""
