"""Development mode: a page at `/` that talks to the routes of the program."""
