"""What the benchmarks measure with: synthetic clusters, peers, clients, and the report.

One module per benchmark (`wirespeed`, `throughput`, `scale`, `sampling`, `micro`, ..), each with `run(bench)`;
the rest is shared by them. `run.py` is the command.
"""
