"""What can be laid on a checkpoint, or shown to it: reading it into memory, and running with it."""
