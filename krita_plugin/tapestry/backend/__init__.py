"""Installing, starting and choosing a backend, and what its page shows."""
