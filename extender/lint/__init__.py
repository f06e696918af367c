"""What the API server and the webhook would say about manifests, found without a cluster."""
