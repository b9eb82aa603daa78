"""Scripts that play with the widgets without a screen, each in a process of its own."""
