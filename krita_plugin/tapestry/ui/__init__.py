"""The widgets of the docker, one file each: they show its model and call it."""
