"""Documents about what a program declares, for other tools to read.

program      the events and HTTP routes of a server, with their types
schemas      the JSON schemas of these types, each named once
asyncapi     AsyncAPI 3: events
openapi      OpenAPI 3.1: HTTP routes
typescript   types for the client library
"""
