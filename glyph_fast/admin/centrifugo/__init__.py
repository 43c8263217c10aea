"""Centrifugo's HTTP API on the operators' port, for the libraries that speak it."""
