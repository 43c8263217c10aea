"""From a tree to Python code objects."""
