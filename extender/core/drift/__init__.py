"""The drift loop's decisions: which pods to move so that workloads come back to their split, and what became of moves.

`plan` looks at the cluster state and at the `History` of moves; `judge` looks at moves in flight. Both are pure.
Whoever acts on a plan (the loop of `extender.runtime`, the simulator) tells the history of every step.
"""
