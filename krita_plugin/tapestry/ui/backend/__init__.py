"""The backend: its line, its page, its installation."""
