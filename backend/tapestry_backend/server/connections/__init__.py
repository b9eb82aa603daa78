"""The listener, handshakes, sessions and outgoing messages."""
