"""The pictures made for a document."""
