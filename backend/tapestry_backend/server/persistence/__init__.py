"""The journal of jobs and the files of pictures."""
