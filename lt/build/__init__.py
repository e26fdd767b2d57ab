"""Recordings and sound fonts -> a data set file: find the notes, extract their spectra, write them.

The command is `python3 -m lt.build` (`python3 -m lt.builders` works as well).
"""
