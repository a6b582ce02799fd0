"""Format 1: what lies on disk, and nothing about how it is made or read."""
