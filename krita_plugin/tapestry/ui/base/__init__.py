"""What all widgets share: how they follow the model, symbols, pixmaps."""
