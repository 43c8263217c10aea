"""A program linked, loaded and put on a server."""
