"""What the Krita plugin and the backend say to each other; standard library only, Python 3.10 and newer."""

PROTOCOL_VERSION = 1
"""Raised whenever an old plugin and a new backend (or the reverse) would misunderstand each other."""

VERSION = "0.1.0"
"""The version of Tapestry; plugin, backend and protocol are released together."""
