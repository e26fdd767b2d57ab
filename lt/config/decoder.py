"""Constants of the note decoder: thresholds of onsets, offsets, segments, repeated notes."""

from __future__ import annotations

from dataclasses import dataclass

from lt.config.fields import constant, short_repr

_SWEPT = "chosen by hand; one step either way gains at most 0.005 note F1 (bench/thresholds.py)"
_BY_HAND = "chosen by hand on recorded and rendered melodies"
_CONVENTION = "convention of references: from a quarter of the peak amplitude to a tenth"


@dataclass(frozen=True)
class DecoderConfig:
    """Constants of note decoding (`lt.inference.note_decoding`), each with its unit and origin in
    the field's metadata. `bench/thresholds.py` sweeps them.

    Example:
        >>> lt.DecoderConfig(onset_db=-10.0).offset_db
        -20.0
    """

    __repr__ = short_repr

    # Segments: divided at novelty peaks, level dips, and where the sound is silent.
    novelty_lag: float = constant(  # spectra so long before and after a frame are compared
        0.035, "s", "chosen by hand; 0.026 gains 0.010 note F1 (bench/thresholds.py)"
    )
    novelty_height: float = constant(0.04, "1 - cosine", _SWEPT)
    novelty_prominence: float = constant(0.03, "1 - cosine", _SWEPT)
    shortest_segment: float = constant(0.035, "s", _SWEPT)
    dip_prominence: float = constant(15.0, "dB", _SWEPT)
    level_range: float = constant(40.0, "dB", _SWEPT)  # below the peak all is alike
    quietest_db: float = constant(-60.0, "dB", _SWEPT)  # relative to the recording's peak
    silent_db: float = constant(-96.0, "dBFS", "the last of 16 bits")
    # Hidden Markov model: notes and silence.
    change_odds: float = constant(0.1, "odds per segment", _SWEPT)  # lower ones merge trills
    change_odds_in_mixture: float = constant(
        1e-4, "odds per segment", f"{_BY_HAND}; changes of other instruments make segments many"
    )
    least_probability: float = constant(0.003, "1", _SWEPT)  # no frame can rule a note out
    free_exponent: float = constant(  # of the share of the power that other instruments leave free
        0.25,
        "1",
        "real piano and violin, odd files: note F1 0.90, 0.62; 0.5: 0.91, 0.60, 0: 0.86, 0.63",
    )
    full_novelty: float = constant(0.3, "1 - cosine", _SWEPT)  # frames there have least_weight,
    least_weight: float = constant(0.05, "1", _SWEPT)  # since two notes overlap in them
    beam: float = constant(20.0, "nats", "states this improbable are not searched; only speed")
    shortest_note: float = constant(0.06, "s", _SWEPT)
    # Onsets and offsets.
    onset_db: float = constant(-12.0, "dB", _CONVENTION)
    onset_db_in_mixture: float = constant(
        -6.0, "dB", "the same for a level measured in bands, which ring before and after alike"
    )
    offset_db: float = constant(-20.0, "dB", _CONVENTION)  # at most, of the level before a release
    faded_db: float = constant(-34.0, "dB", "of a note that dies away: a fiftieth of the peak")
    release_times: tuple[float, ...] = constant((0.03, 0.06, 0.12), "s", _BY_HAND)  # of a release
    release_fit: float = constant(0.3, "s", _BY_HAND)  # the level before is a line for so long
    attack: float = constant(0.3, "s", _SWEPT)  # in which a note reaches its peak
    rest_db: float = constant(14.0, "dB", _SWEPT)  # below the attack: there was a rest before
    quiet_db: float = constant(30.0, "dB", _SWEPT)  # below the attack: all that follows is attack
    quiet: float = constant(0.2, "s", _SWEPT)  # before a region, in which that is searched
    onset_dip_db: float = constant(7.0, "dB", _SWEPT)  # of a dip between detached notes
    search_before: float = constant(0.12, "s", _SWEPT)  # an onset is searched so long before
    search_after: float = constant(0.07, "s", _SWEPT)  # and after the start of a region
    overlap: float = constant(0.4, "s", _SWEPT)  # for which the previous note may mask it
    earlier_percentile: float = constant(20.0, "%", _SWEPT)  # of a band's earlier magnitudes
    new_ratio: float = constant(2.0, "1", _SWEPT)  # of later to earlier in a band that is new
    new_fraction: float = constant(0.1, "1", _SWEPT)  # of the magnitude that is in new bands
    half_rise: float = constant(  # of its later magnitude that a ringing band has at the onset
        0.45, "1", "chosen by hand; 0.56 gains 0.014 note F1 (bench/thresholds.py)"
    )
    # Strokes and repeated notes.
    decay_db: float = constant(  # while a note is held, of an instrument that is struck
        12.0, "dB", "the embedded piano falls by 27, its flute, violin and trumpet by 3 at most"
    )
    stroke: float = constant(0.02, "s", _BY_HAND)  # in which the level rises by:
    stroke_db: float = constant(7.0, "dB", _BY_HAND)  # within a note, which is repeated
    struck_db: float = constant(4.0, "dB", _BY_HAND)  # where another note begins
    rise_db: float = constant(8.0, "dB", _SWEPT)  # out of a dip of dip_prominence
    rise: float = constant(0.08, "s", _SWEPT)  # in which the level rises by rise_db
    near_db: float = constant(12.0, "dB", _SWEPT)  # below the note's peak; less is an echo
    shortest_repeat: float = constant(0.08, "s", _SWEPT)
    # Level of one instrument in a mixture.
    n_partials: int = constant(8, "partials", _BY_HAND)  # in which a note's level is measured
    n_partials_of_others: int = constant(16, "partials", _BY_HAND)
    lowest_partial_hz: float = constant(600.0, "Hz", "bands below ring for 0.1 s and longer")
    lowest_onset_hz: float = constant(  # of partials in which an onset is searched
        250.0, "Hz", "as of chords; 600 costs 0.03 of note F1 of a real piano and violin"
    )
    shortest_other: float = constant(0.03, "s", _BY_HAND)  # another note that is taken for present
    decay_rise_db: float = constant(3.0, "dB", _BY_HAND)  # an octave below: more is a new note
    floor_db: float = constant(-120.0, "dB", "below all levels")  # where none is measured
    # Vibrato.
    vibrato_period: float = constant(0.3, "s", "a period of a vibrato of 4 Hz, and more")
    longest_wave: float = constant(0.15, "s", "half a period of a vibrato of 4 Hz has 0.125")
    least_swing: float = constant(0.5, "semitones", _BY_HAND)  # from one turn to the next
    widest_swing: float = constant(3.0, "semitones", "a semitone more than a wide vibrato's")
    least_turns: int = constant(4, "turns", "two periods")
    least_share: float = constant(  # of the power in each of the bands that a vibrato passes
        0.06, "1", "vibrato of 80 cents has 0.12 and more, trills 0.03 and less"
    )
    widest_detuning: float = constant(  # of notes from the middles of the bands
        0.2, "semitones", "at 0.33 trills of a semitone fill three bands"
    )
    waves_beside: float = constant(1.5, "half waves", "one and a half: a turn may be missed")
    n_partials_of_pitch: int = constant(6, "partials", _BY_HAND)  # whose bands tell the contour
    # Noise.
    noise_probability: float = constant(  # of a frame, whatever the model hears
        0.2, "1", "chosen by hand on notes in noise; 0.1 lets a room's tail pass"
    )
    masked_probability: float = constant(  # the same after the onset of a note
        0.1, "1", "chosen by hand; 0.3 ends decaying piano notes early"
    )
    floor_seconds: float = constant(0.1, "s", _BY_HAND)  # of a band's power at its least
    click_seconds: float = constant(0.04, "s", "a click of 3 ms in the window of the level")
    click_db: float = constant(6.0, "dB", _BY_HAND)  # by which a click is above what surrounds it
    rest_seconds: float = constant(0.3, "s", _BY_HAND)  # after a note, where noise is measured
    rest_percentile: float = constant(90.0, "%", _BY_HAND)  # of the level of rests: its noise
    noise_margin: float = constant(3.0, "dB", _BY_HAND)  # of the peak of a note above noise
    longest_steady: float = constant(4.0, "s", _BY_HAND)  # recordings of one note; longer is hum
    floor_ratio: float = constant(  # of the power of a note to that of what never stops
        5.0, "1", "a band has a quarter of its power at the edges of a recording"
    )
    # Velocities.
    partial_range: float = constant(  # below a note's strongest partial; others are left out
        40.0, "dB", "chosen by hand; 30 costs 0.3 of velocity error on rendered tunes"
    )
    least_misfit: float = constant(  # of a note that is just as the model expects
        0.5, "dB", "half a step of the gains; 1.0 costs 0.2 of velocity error on rendered tunes"
    )
    misfit_freedom: float = constant(  # of Student's t: the fewer, the fewer outliers are believed
        3.0, "degrees of freedom", "chosen by hand; 6 costs a recorded violin 1.2, gains tunes 0.4"
    )
    gain_step: float = constant(1.0, "dB", "twice least_misfit")  # between the gains that are tried
    middle_velocity: int = constant(64, "MIDI velocity", "the middle of 1 to 127")  # of one alone
