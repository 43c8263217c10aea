"""Redis or Valkey as a broker: positions and histories of rooms, and what nodes say to each other.

connection  one socket to a server: commands in one write a turn, answers in their order
login       a new connection says who it is, and learns whom it has reached
finding     where the primary is: alone, or as Sentinels know
link        two connections, for commands and for what is published, made again when they are lost
bus         what is published between nodes, by the link
scripts     what Redis does with a message in one step
streams     rooms that remember, by scripts: places, pages, ids
making      the parts of that which a URL asks for
cluster     the same parts for a Redis Cluster
broker      all of that as the broker of a server
"""
