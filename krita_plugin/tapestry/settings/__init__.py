"""The docker's settings, and the sizes that Extend offers."""
