"""Makes the files of the repository that are made from others. A test holds each to what it is made from."""
