"""The socket, the queue and the kept results."""
