"""Counts and durations in words, for messages."""


def counted(number: int, noun: str) -> str:
    """`1 note`, `2 notes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """A time in two units at most: `8 s`, `12 min`, `1 h 40 min`, `2 days 3 h`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    days, rest = divmod(round(seconds / 60), 24 * 60)
    hours, minutes = divmod(rest, 60)
    words = [(days, counted(days, "day")), (hours, f"{hours} h"), (minutes, f"{minutes} min")]
    largest = next(index for index, (number, _) in enumerate(words) if number)
    return " ".join(word for number, word in words[largest : largest + 2] if number)
