"""What an owner asks for: policies and their sources, seats, opt-outs, and which workload a pod belongs to."""
