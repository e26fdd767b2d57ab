"""Names of instruments, notes and dynamics."""

import pytest

from lt.build.vocabulary import instrument_in, note_number_of


@pytest.mark.parametrize("text", ("H4", "B##9", "C", "", "4", "130", "C-4", "Cs", "A4 flat"))
def test_what_is_no_note_is_refused(text):
    with pytest.raises(ValueError):
        note_number_of(text)


def test_instruments_are_found_in_words_around_them():
    assert instrument_in("flute-audio-labelled-database") == "Flute"
    assert instrument_in("Sonata for Violin") == "Violin"
    assert instrument_in("duo for Flute and Violin") is None
