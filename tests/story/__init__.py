"""One story on real Karpenter: what it costs, and how long workloads are not as their owners asked."""
