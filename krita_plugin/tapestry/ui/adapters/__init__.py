"""The adapters of the picture and of its regions."""
