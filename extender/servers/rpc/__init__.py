"""The gRPC API: what proto/ describes, health and reflection, on the event loop of the extender.

`server` listens, `service` is asked, `calls` lets callers in and turns refusals and faults into statuses, `requests`
checks what is asked, `answers` asks the core, `watches` streams decisions and `tls` holds certificates. The module
`server` imports gRPC, which takes memory and time: it is to be imported when the API is served, and not before.
"""
