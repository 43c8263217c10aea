"""The same work on other servers: what they are, how to install them, how to run them in turn."""
