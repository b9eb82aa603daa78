"""Which Qt it is, its event loop, its downloads."""
