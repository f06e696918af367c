"""The main job in a minute, on a real control plane: `spotmix sandbox demo`.

What may live here: the cast (`cast`), what is seen of the cluster (`facts`, `observe`), words and pictures
    for it
(`words`, `screen`, `show`), and the acts (`acts`, `story`). Everything that is shown comes from the API
server: actual splits from the node each pod is bound to, wanted ones from the annotations and `core.seats`.
"""

from extender.sandbox.demo.story import Options, run_demo

__all__ = ["Options", "run_demo"]
