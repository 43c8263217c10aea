"""The view that an application has of connections and rooms.

hub         all connections of a server, and what is sent to them
room        one room
rooms       all of them by name, and what is published to them
members     who gets the same publications, by format
remembering the members of a room whose messages have places
joining     how a member gets what it missed
streams     what a program does with rooms that remember
connection  one client
users       the connections of each user
user_rooms  the room of each user
identity    who a client is, and what others see of it
calls       what clients are asked
presence    who is in rooms, here and in other processes (of one room: room_presence)
expiry      the ends of credentials
metrics     what is counted

A member of a room is a connection of the core; nothing here knows sockets.
"""
