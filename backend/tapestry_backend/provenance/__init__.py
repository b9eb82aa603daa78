"""What made a picture, written into its file, and signed where the artist has a certificate."""
