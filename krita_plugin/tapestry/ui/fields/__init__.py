"""Fields for prompts, numbers, models, presets and sampling."""
