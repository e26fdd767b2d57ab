"""How good a run is.

context         the run with its data set and split
metrics         formulas: spectra, symbols, transcriptions
scoring         predictions for frames, and their scores: `evaluate`
baselines       classifiers, a synthesiser, pYIN: trained and scored beside the run
examples        sound examples of notes
analyze         all of it for one run: `analyse_run`, as `lt_analyze.py`
ground_truth    recordings paired with aligned MIDI, as labels
recordings      one recording against its MIDI
piece           a recording and its transcription on a page
corpus          many recordings: `evaluate_corpus`, as `lt_midi.py`
results         the table of scores; text, results.json, results.csv
figures report  pictures; one HTML page
"""
