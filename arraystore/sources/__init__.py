"""Source packages as their publishers lay them out: which file is an image, and of what."""
