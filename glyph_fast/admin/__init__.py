"""The operators' port: metrics, figures, the dashboard, and an API for other processes.

It is a small site of its own, on the server's loop, made of the same parts as the public port: an
opening, a hub for the dashboards that watch, an engine. So it answers while the server drains, and
nothing that happens here counts in the figures it shows. What it shows and acts on is behind a
seam (`operated.py`): one process, or all workers of a server, which main asks.
"""
