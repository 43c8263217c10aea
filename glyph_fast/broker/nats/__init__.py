"""NATS as the broker: what nodes say to each other, without histories.

connection  one connection, from its INFO to its end
bus         the connection there is, found again after every loss, with its subscriptions
"""
