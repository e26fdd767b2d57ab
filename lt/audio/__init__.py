"""Sound <-> features: reading, filtering, the constant-Q transform and its inverse, sound fonts.

Imports the root modules only.
"""
