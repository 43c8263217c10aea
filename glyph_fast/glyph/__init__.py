"""The Glyph language: from text to routes of a server.

    source, lexer, cursor, expressions, statements, routes, parser    text → tree
    nodes, declarations, walk                                         the tree
    diagnostics, rules                                                what can be wrong, as data
    modules, scopes, resolve, resolve_calls, checks, signatures       names, imports, checks
    kinds, emit, bodies, compile_*, compiler                          tree → Python code
    values, limits, operators, builtins, arrays, jsontext, typecheck  what running code is made of
    frames, websocket, queries, middleware, web, runtime              events and requests
    failures, host, program, link, load, runners                      a program, ready to be served
    check, format                                                     the commands of an editor

Nothing in here knows how bytes get to a client: `glyph_server` puts a program's routes on a server.
"""
