"""What would be: the cluster under another size or policy, or without some of its nodes. The state is only read."""
