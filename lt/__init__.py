"""Latent transcription: one latent space for sounds and their symbols (transcribe, synthesise, morph).

The rooms, lowest row first; a room imports only from rows below its own, or from its own without a cycle:

    0  config         the settings that flags refer to, with their defaults
    0  rows           arrays that grow in place
    0  files          whole-or-not-at-all writing, output names, inputs kept safe
    0  labels         octave, pitch, dynamics, silence: names, numbers, classes
    0  spectra        audio <-> scaled constant-Q log-magnitudes
    0  audio          sound files in and out
    0  rumble         what lies below the lowest notes, cut from sound
    0  midi           MIDI files in and out; notes <-> labels on the grid of frames
    0  cli            the scripts' shared command line: errors, exit codes, notes, progress, several inputs
    0  flags          the kinds of values that flags take, and how a flag is declared
    0  devices        the choice of CPU or CUDA
    0  seeds          every draw named by seed, purpose and place
    0  workers        who this process is among data-parallel ones
    0  results        nested results: tables, CSV and JSON of one content
    0  symbols        label lists and note names as people type them; tables of labels
    1  datasets       frames of notes with their labels
    1  datafiles      the data set file
    1  splits         what is trained on, what chooses the model, what is never looked at
    1  augment        one recording heard as others would have given it
    1  mixtures       batches of one or several instruments
    1  modulators     what a sound font says of velocity, for a synthesiser that does not read it
    1  soundfonts     notes rendered to audio
    1  sources        the sound that a note of a data set was made from
    1  takes          the notes that a data set shall be built from, and what others call them
    1  layouts        published collections whose file names say what is played
    1  indexes        collections whose labels stand in a file of their own
    1  aligned        recordings with aligned MIDI, cut into their notes
    1  surveys        what kind of source a path is, and all the takes in it
    1  cutting        the sound of takes -> spectra: trimmed, tuning measured
    1  parts          the frames of each source file, by several processes, kept until all are there
    1  preload        what the processes of a build have in memory from the start
    1  accounts       what became of every file
    1  builders       data sets from sound fonts and recordings
    1  convert_lt_set the article's data set, read with care, in our format
    1  networks       multilayer perceptrons, and heads that return distributions
    1  tuning         how far a recording lies from A = 440 Hz
    1  latent         splines and trajectories in the latent space
    2  vae            the signal VAE, the symbol VAE, and what passes between them
    2  critic         a judge of decoded spectra
    2  baselines      what the VAEs are compared with
    3  losses         the terms of the objective, by name
    3  metrics        the figures that judge a model
    3  objective      the model's loss and the critic's, as modules
    4  checkpoints    the files of a run's folder, whole at every moment
    4  runs           what makes a run, and how its models are read again
    4  segments       a sound divided where it changes; when its notes begin
    4  validation     what a model makes of the part that chooses it
    5  learner        networks, optimisers, schedules: one batch learnt
    5  training       step, epoch, fit, and going on
    5  decoding       latent points -> magnitudes and symbols
    5  rendering      magnitudes -> audio, of any length
    5  generation     symbols and latent paths -> sound
    5  arranging      MIDI tracks -> what a model can play
    5  hearing        sound -> class probabilities and levels, frame by frame
    5  voices         how loud one instrument is while others play
    5  transcription  what is heard -> notes
    5  subjects       a run with its data found again
    5  analysis       a run judged on a part of its data
    5  rivals         the baselines at work on a run's data
    5  examples       whole notes, what a run makes of them, in sound
    6  plotting       figures from arrays
    6  report         the HTML page
    6  inspection     from a run's folder to its analysis folder
    6  plotting_analysis  pictures of an analysis
    6  plotting_sound pictures of sound and notes on one time axis
    6  playing        what each mode of lt_play writes
    6  modes          the modes' needs and flags, run over models and inputs
    6  info           a run at a glance
    6  references     recordings found with their MIDI, and what it says in a model's words
    6  crossdata      one recording and its MIDI worked through
    6  plotting_crossdata  pictures of a recording beside its MIDI
    6  crossscores    findings about several recordings as one result
    6  crossing       from a run and recordings to a folder of results
    6  monitor        bar, figures, TensorBoard
    6  sessions       from flags or a run's folder to a trainer at work

The transform itself lives next door in `nsgt_wrap`, which knows nothing of `lt`.
"""

__version__ = "0.1.0"
