"""The API's messages and what they are made of: `convert` turns answers of the core into messages and back.

Both ends use it, the service and the commands that talk to one. It does no I/O. gRPC and protobuf are imported through
this package alone, so that whoever does not need them does not load them.
"""
