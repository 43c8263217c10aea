"""A Redis Cluster as a broker: what one server does for all rooms, its primaries do for theirs.

slots       the slot of a name, and what servers tell of who has which
subscriber  a connection that subscribes to sharded channels
shard       one primary: its link, what is published there, and the rooms that remember
shards      all of them, found and found again
routing     what is sent to the shard that has a slot, again where that has moved
adopting    rooms that have moved, and to which nothing happens
bus         what nodes publish to each other, by shards
streams     rooms that remember, by shards
leading     the shard of one key, for the lease
"""
