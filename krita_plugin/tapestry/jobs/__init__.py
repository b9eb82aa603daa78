"""Pictures on their way: one job, the queue, jobs on disk, the time left."""
