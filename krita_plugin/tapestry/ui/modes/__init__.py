"""Generate, extend, refine and fill."""
