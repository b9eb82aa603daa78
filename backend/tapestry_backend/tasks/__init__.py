"""From a request to a picture: plan, generate, extend. Importing the package alone needs no torch."""
