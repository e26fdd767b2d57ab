"""Latent transcription: one latent space for sounds and their symbols (transcribe, synthesise,
morph).

Packages, in the order in which they may import each other (a package only from those before it):

    root         without a stage of their own: config labels midi seeds files devices progress cli
                 plotting
    audio        sound <-> features: files, filters, the constant-Q transform, phase, sound fonts
    data         what training reads: data sets, splits, augmentation, batches
    models       networks, losses, checkpoints, runs
    build        recordings and sound fonts -> a data set
    training     a config -> checkpoints
    inference    a run -> transcriptions and sound
    evaluation   a run -> scores, baselines, reports

`nsgt_wrap`, beside this package, holds the transform itself and imports nothing of it.
"""

__version__ = "0.1.0"
