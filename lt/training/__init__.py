"""From a config to checkpoints: launching, the training loop, one step, validation, callbacks."""
