"""Training of any model: data as `fit` takes it, checkpoints, going on, what is not finite."""
