"""The cluster as the watch has shown it, and what was decided since: `ClusterState.apply` is its only way to change."""
