"""What Kubernetes objects say, as plain values: the words that all other rooms use.

Objects, resources, selectors, taints, capacity classes, the closed set of reasons, and the exception tree. No state.
"""
