"""What people are told: read models for the console, the gRPC API and the command line alike.

Nothing here decides. What would be decided is asked of the rooms that decide.
"""
