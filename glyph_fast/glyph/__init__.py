"""The Glyph language: from text to routes of a server.

    syntax    text → tree: source, lexer, cursor, expressions, statements, routes, parser; nodes,
              declarations, scopes; diagnostics and rules: what can be wrong, as data; format
    checks    names, imports, calls and types, before anything runs
    runtime   what running code is made of: values, limits, operators, builtins; events and requests
    compiler  tree → Python code
    serving   a program linked, loaded, and its routes on a server

Nothing in here knows how bytes get to a client: `serving.server` puts a program's routes on a
server.
"""
