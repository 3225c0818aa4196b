"""MLflow and Weights & Biases, beside TensorBoard: a file per logger, imported only where it is asked for."""
