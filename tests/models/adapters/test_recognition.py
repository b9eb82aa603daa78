"""The earlier place of reading adapters."""

from tapestry_backend.checkpoints import adapter_recognition
from tapestry_backend.models.adapters import recognition


def test_scripts_find_it_where_it_was() -> None:
    """It is the same function."""
    assert recognition.read_adapter is adapter_recognition.read_adapter
