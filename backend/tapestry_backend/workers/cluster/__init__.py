"""Workers on the computers of a Ray cluster; one process alone imports it, and Ray."""
