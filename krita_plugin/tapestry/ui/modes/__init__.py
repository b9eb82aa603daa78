"""Generate, extend, refine, fill and upscale."""
