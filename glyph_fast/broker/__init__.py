"""Brokers: how publications reach every process that has members for them.

base      what brokers share
memory    one process, whose members are all of them
workers   several processes: this is one that serves; `switchboard` and `keeper` are in main
presence  who is in rooms, from process to process
history   what rooms remember: positions, and the latest messages
ids       what was published under an id lately
estate    what is handed over to the next process; `bequeathing` and `inheriting` are the two sides

What a broker promises is in `interfaces.py`; nothing here knows connections or sockets of clients.
"""
