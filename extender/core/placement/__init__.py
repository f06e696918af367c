"""Where a pod may go: the decision of filter, the scores of prioritize, and nodes to nominate."""
