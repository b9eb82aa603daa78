"""Draws the picture-book world and trains the sample model on it."""

import os

# Threads that wait must not burn their cores: another program on one of them made training steps
# ten times slower. It must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
