"""One process per GPU that holds torch and the running job, and who starts and restarts it."""
