"""Everything that a release consists of, made from a clean tree and published from nowhere: `make release`.

The same commit gives the same bytes, whichever day and machine: times come from the commit.
"""
