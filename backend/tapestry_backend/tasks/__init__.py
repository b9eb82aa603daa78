"""From a request to a picture: plan, generate, extend. Importing the package needs no torch."""
