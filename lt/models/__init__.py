"""The networks, their losses, and how they are stored: VAEs, critic, baselines, checkpoints, runs."""
