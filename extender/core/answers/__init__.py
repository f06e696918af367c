"""What people are told: read models for the console, the gRPC API and the command line alike.

`overview` is the cluster on one page, `workload` explains a workload, `pod` a pod (made of `pod_parts`), `nodes` what
each node is to a pod, `plan` what the drift loop would do. `replicas` and `seats` count what these show; `decisions`
keeps the last decisions. Nothing here decides: what would be decided is asked of the rooms that decide.
"""
