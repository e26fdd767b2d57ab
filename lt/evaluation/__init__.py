"""How good a run is.

context         the run with its data set and split
metrics         formulas: spectra, symbols, transcriptions
scoring         predictions for frames, and their scores: `evaluate`
note_dynamics   dynamics of whole notes, and their baselines
baselines       classifiers, a synthesiser, pYIN: trained and scored beside the run
examples        sound examples of notes
analyze         all of it for one run: `analyse_run`, as `lt_analyze.py`
ground_truth    recordings paired with aligned MIDI, as labels
alignment       whether the MIDI fits its recording better at another time, pitch or tempo
recordings      one recording against its MIDI
corpus          many recordings: `evaluate_corpus`, as `lt_midi.py`
results         the table of scores; text, results.json, results.csv
comparison      several runs: means over seeds or folds, paired differences
figures         pictures
page            HTML pages: `report` of one run, `gallery` of several with its `chapters`,
                `piece` (a recording and its transcription), `latent_map`
"""
