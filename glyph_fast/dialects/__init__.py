"""The formats of messages: what reads and writes each of them, in one place each.

message      what clients send and receive, as values
bare         text, bytes and JSON as they are
envelope     JSON objects that say what they hold
publication  one message to many, encoded once for each format among them
writer       by which rules the JSON of a server is written
stream       messages with their places in a room
base         a dialect: which formats the clients of a route speak, and what they are answered in
"""
