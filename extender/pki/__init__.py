"""Certificates and their keys, in PEM: reading and issuing them, and when they are to be replaced. No I/O, no clock."""
