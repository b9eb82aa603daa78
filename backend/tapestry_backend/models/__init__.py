"""Checkpoints: finding them (without torch) and running them behind one small protocol."""
