"""Sets Tapestry up on this computer; standard library only, nothing of the product itself."""
