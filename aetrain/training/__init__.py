"""The training loop and its parts. Nothing here names a model."""
