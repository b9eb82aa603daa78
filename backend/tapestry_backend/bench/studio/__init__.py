"""What several workers are worth, on a small cluster on this computer."""
