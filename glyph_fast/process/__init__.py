"""The process around a server: signals, successors on its sockets, service managers, reloading."""
