"""The API of placement, by version."""
