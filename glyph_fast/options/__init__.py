"""Options: one declaration each, where their values come from, and what follows from them.

option   the declaration: names, kind, default, words
config   the declarations, and `Config`, which holds a value of each
unusable what cannot work together
sources  command line, environment and file, and which of them wins
choice   core, engine and loop that a configuration leads to
page     the page of options in docs/
rooms    what is declared about rooms, by patterns of their names
jwt      the options of tokens, judged together
"""
