"""The Grafana dashboards, built as code: `python -m monitoring` writes deploy/grafana and the chart's copies.

What may live here: what makes files of deploy/ for monitoring systems. It asks for metrics by the entries of
`extender.telemetry.catalogue`, so that a dashboard cannot name a metric or a label that the program does not have.
"""
