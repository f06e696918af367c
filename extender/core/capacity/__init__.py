"""Whether a pod fits a node: requests, taints, selectors, volumes, ports, other pods, and what is about to come."""
