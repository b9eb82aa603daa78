"""What the Krita plugin and the backend say to each other; standard library, Python 3.10 on."""

PROTOCOL_VERSION = 8
"""Raised whenever old plugins and new backends, or the reverse, would misunderstand each other."""

VERSION = "0.1.0"
"""The version of Tapestry; plugin, backend and protocol are released together."""
