"""Several machines: what the nodes of one server say to each other over a broker.

A node is one process without workers, or the main process of those. It has a name that it does not
use again after it was taken for dead.

bus       what a broker has to offer for that
subjects  under which names things are said, so that no name from a client reaches another
messages  what is said, as bytes
nodes     one node among the others; `peers` which there are, `interest` to which rooms it listens,
          `attending` who is in rooms, `receiving` what is published elsewhere
broker    the broker of a process that is a node
"""
