"""From text to a tree: lexer, parser, nodes, names, the layout, and what can be wrong as data."""
