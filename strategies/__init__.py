"""A config pack: strategies and named settings in YAML, and the tape that ships."""
