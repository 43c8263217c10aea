"""Scripts that want a process of their own, because they look at all of its memory."""
