"""Jobs, their order, and the workers that run them."""
