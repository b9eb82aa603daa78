"""What can be laid on a checkpoint, or shown to it: files, their kinds, and their numbers."""
