"""Sources that are opened as they are: their index in the cache folder, and where their images lie."""
