"""What a document holds, and how its layers become a request."""
