"""Tells Krita that Tapestry exists, and where its carried libraries are."""

from importlib.util import find_spec

from . import vendoring as vendoring  # first: from here on `tapestry_protocol` can be imported

if find_spec("krita"):
    from .krita_adapter.docker import register

    register()
