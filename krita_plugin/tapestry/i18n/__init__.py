"""Translation, messages and notices."""
