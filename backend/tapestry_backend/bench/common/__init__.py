"""What quality and speed share: painter, prompts, layouts, goals."""
