"""Numbers about pictures that are there: NumPy arrays in, figures out."""
