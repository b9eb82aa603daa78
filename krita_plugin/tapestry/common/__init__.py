"""Tasks of the event loop, files written whole, errors shown to the artist."""
