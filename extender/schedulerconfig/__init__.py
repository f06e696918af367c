"""KubeSchedulerConfiguration files and the YAML editing that they need.

`read` understands a file; `inject` puts our extender in and leaves every other byte alone; `check` says what would
hurt; `render` writes one for a second scheduler.
"""
