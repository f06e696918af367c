"""A check of the unit tests: does one fail when the core is wrong?

`make mutants` changes one place of `extender/core` at a time, as a slip of the pen would (`<` for `<=`, a constant that
is off by one, a statement that is missing), runs the unit tests that may notice, and prints each mutant that none of
them noticed. It takes minutes, so it is no part of `make test`; run it after work on the core:

    make mutants                                  a sample of 60 out of some thousands, about ten minutes
    make mutants MUTANTS='--only drift/plan'      the mutants of one module or room
    make mutants MUTANTS='--count 300 --seed 7'   a larger sample, another one
    make mutants MUTANTS=--all                    all, for a night

For each survivor there are three ways:

* Write the test that is missing. Name the behaviour; a test that repeats the code is worth nothing.
* Take the code out, when nothing is lost without it.
* When no test can tell it from the original, list it in `equivalent.toml` with the reason.

The same seed gives the same sample as long as the core is the same. Mutants are made in a copy of the repository in a
temporary folder: a run that is broken off leaves nothing behind.
"""
