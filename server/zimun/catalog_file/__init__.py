"""The catalogue in a YAML file: reading, writing, and errors with their lines."""
