"""The drift loop: which pods to move so that workloads come back to their split, when, and what became of the moves.

`controller` says what is due. It has `plan` look at the cluster's state and at the `History` of moves, `judge` look at
moves in flight, and `under_way` hold what is between the two. The service and the simulator carry its actions out.
"""
