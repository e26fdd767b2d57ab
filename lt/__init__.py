"""Latent transcription: one latent space for sounds and their symbols (transcribe, synthesise, morph).

The rooms, lowest row first; a room imports only from rows below its own, or from its own without a cycle:

    0  config         the settings that flags refer to, with their defaults (no torch)
    0  files          whole-or-not-at-all writing, output names, inputs kept safe
    0  labels         octave, pitch, dynamics, silence: names, numbers, one-hot
    0  spectra        audio <-> scaled constant-Q log-magnitudes
    0  audio, midi    sound files and MIDI files in and out; MIDI <-> labels on a frame grid
    0  cli, devices   the shared parts of the four scripts; the choice of CPU or CUDA
    0  seeds          one seed a run, one generator a purpose
    1  datasets       the data set file, its splits and mixtures; `builders` makes it
    1  networks       MLPs and heads that return distributions
    2  vae            the signal VAE, the symbol VAE and the pair of them; `critic`, `baselines`
    3  losses         the terms of the objective by name; `metrics` the figures that judge it
    4  runs           a run's folder, its settings and checkpoints
    5  training       step, epoch, evaluate, fit; `generation` symbols -> sound; `transcription` sound -> notes
    6  plotting       figures from arrays; `report` the HTML page

The transform itself lives next door in `nsgt_wrap`, which knows nothing of `lt`.
"""

__version__ = "0.1.0"
