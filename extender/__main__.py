"""`python -m extender` is `spotmix`."""

from extender.cli import main

main()
