"""Networks, losses and their storage: VAEs, critic, baselines, checkpoints, runs."""
