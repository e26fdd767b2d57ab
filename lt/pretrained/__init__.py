"""The trained models that come with the package, a folder each, and how they are made.

`lt.models.pretrained` finds and reads them; `python3 -m lt.pretrained build` makes them.
"""
