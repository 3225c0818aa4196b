"""What a model is worth on a split: one place for training, tasks and reports. Nothing here trains a model."""
