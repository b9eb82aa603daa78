"""Settings, presets and the prompts that were used."""
