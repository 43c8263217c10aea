"""The WebSocket protocol as pure functions and small objects: the handshake (RFC 6455 §4) and
permessage-deflate (RFC 7692). Frames are the core's."""
