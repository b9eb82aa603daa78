"""Memory of a device, and what is kept on it."""
