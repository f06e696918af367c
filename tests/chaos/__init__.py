"""Does Spotmix keep its promises while everything around it fails? `make chaos` plays it on a real control plane.

Two replicas serve a scheduler; users make, scale and roll out workloads; spot nodes come and go. Meanwhile one fault
after another is played (`faults`), in an order that a seed chooses. After each, all has to come to rest: every
workload exactly at its split, every pod running. Every eviction that Spotmix asks for is held against the floor of its
workload at that moment (`proxy`).
"""
