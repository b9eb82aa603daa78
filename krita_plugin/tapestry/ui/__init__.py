"""The widgets of the docker, one file each: they show the studio and call it; nothing else."""
