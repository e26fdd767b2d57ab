"""What training reads: the data set file, splits, augmentation and batches of mixtures."""
