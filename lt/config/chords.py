"""Constants of the decoder of chords."""

from __future__ import annotations

from dataclasses import dataclass

from lt.config.fields import constant, short_repr

_BY_HAND = "chosen by hand on recorded chords of a piano"


@dataclass(frozen=True)
class ChordConfig:
    """Constants of the decoding of several notes at once (`lt.inference.chord_decoding`)."""

    __repr__ = short_repr

    change: float = constant(  # for a key to begin or to end
        1.0, "nats", "chosen on recorded chords; 1.5 and 0.8 cost 0.002 of their note F1"
    )
    most_evidence: float = constant(4.0, "nats", _BY_HAND)  # of one frame; none rules a key out
    quietest_db: float = constant(-60.0, "dB", "as of one line")  # relative to the peak
    shortest_note: float = constant(0.06, "s", "as of one line")
    lowest_partial_hz: float = constant(250.0, "Hz", "bands below ring for 0.15 s and longer")
    n_partials: int = constant(8, "partials", "as of one line")
    # An onset is searched so long before and after the key is heard, and as long as the band of its
    # fundamental rings.
    search_before: float = constant(0.12, "s", _BY_HAND)
    search_after: float = constant(0.15, "s", _BY_HAND)
    ringing_cycles: float = constant(29.4, "cycles", "the front end's windows, as in augmentation")
    attack: float = constant(0.12, "s", _BY_HAND)  # in which a note reaches its peak
    half_rise: float = constant(0.45, "1", "as of one line")  # of its magnitude, at the onset
    stroke: float = constant(0.02, "s", "as of one line")  # in which the whole level rises by
    stroke_db: float = constant(1.5, "dB", _BY_HAND)  # where notes are struck,
    stroke_before: float = constant(0.03, "s", _BY_HAND)  # so long before an onset as heard
    stroke_after: float = constant(0.09, "s", _BY_HAND)  # or after it
    rise: float = constant(0.06, "s", _BY_HAND)  # in which the level rises by
    onset_db: float = constant(2.0, "dB", _BY_HAND)  # at an onset; less is none
    repeat_db: float = constant(  # most partials, where a key is repeated
        4.0, "dB", "chosen on recorded chords; 3 or 6 cost 0.01 of their note F1"
    )
    shortest_repeat: float = constant(0.1, "s", _BY_HAND)
    joined: float = constant(0.3, "s", _BY_HAND)  # gap in a note that goes on
    release: float = constant(0.4, "s", _BY_HAND)  # before a key is silent, its end is searched
    fall: float = constant(0.1, "s", _BY_HAND)  # in which most partials fall by
    offset_db: float = constant(  # where a note is released
        10.0, "dB", "chosen on recorded chords; 8 or 14 cost 0.005 of their F1 with offsets"
    )
    together: float = constant(0.06, "s", _BY_HAND)  # notes that begin so near begin at once
    first_moments: float = constant(0.3, "s", _BY_HAND)  # of a note, in which its key is judged
    overlap: float = constant(0.1, "s", "ends of notes are not exact")  # that is no voice more
    sure: float = constant(0.7, "probability", _BY_HAND)  # of a note above one of its own partials
