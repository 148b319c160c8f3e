"""Reference images: read from files, or drawn by the model once."""
