"""The gRPC API: what proto/ describes, health and reflection, on the event loop of the extender.

`server` listens, `service` is asked, `calls` lets callers in and turns refusals and faults into statuses, `requests`
checks what is asked, `replies` asks the core, `simulating` what would be, `watches` streams decisions, `health` tells
of readiness and `tls` holds certificates. `expander` is a server of its own, for cluster-autoscaler. gRPC takes memory
and time to import: all of this is to be imported when it is served, and not before.
"""
