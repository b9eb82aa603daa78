"""Networks and tokenizers, loaded from files."""
