"""The socket, the queue and the kept results; never torch, not even by way of another room."""
