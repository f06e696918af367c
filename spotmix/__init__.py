"""What others program against: the messages and stubs of the gRPC API. Spotmix itself is the package `extender`."""
