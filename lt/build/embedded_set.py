"""The instruments of the embedded data set, rendered from the sound font that pretty_midi carries.

Each is a name in `lt.midi.INSTRUMENTS`, which has its General MIDI program and range.
"""

EMBEDDED = ("Flute", "Piano", "Alto-Sax", "Trumpet-C", "Violin")
