"""Finding a server, connecting again, the websocket and the wire format."""
