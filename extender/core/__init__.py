"""Pure decisions, in rooms by subject: what is here has no I/O, clock, randomness, logging or async.

It takes facts (objects, events, `now`) and returns decisions; everything around it is thin.
"""
