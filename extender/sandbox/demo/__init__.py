"""The main job in a minute, on a real control plane: `spotmix sandbox demo`.

`environment` starts what it needs, `samples` are its nodes and workloads, `facts` and `observe` say what is seen of the
cluster, `words`, `screen` and `show` put it into words and pictures, `script` has the acts, `acts` judges them, and
`story` runs it all. Everything that is shown comes from the API server: actual splits from the node each pod is bound
to, wanted ones from the annotations.
"""

from extender.sandbox.demo.story import DemoOptions, run_demo

__all__ = ["DemoOptions", "run_demo"]
