"""Progress, queue and notices."""
