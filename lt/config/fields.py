"""Fields of settings: flags, and constants with unit and origin; reading settings from JSON."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

LARGEST = 1e12  # bound on every number in settings, so that they can be stored and read back


Settings = TypeVar("Settings")


COUNT = "[1, inf)"
NOT_NEGATIVE = "[0, inf)"
POSITIVE = "(0, inf)"
FRACTION = "[0, 1]"
DECIBELS = "[0, 60]"
SIZE = "[1, 1e8]"  # more is a typing error: no machine has the memory
LAYERS = "[1, 1000]"
PEDAL_HELP = "1: the sustain and sostenuto pedals of a MIDI file lengthen its notes; 0: they do not"
TUNING_HELP = "hertz of the recording's A4: 415 writes as A what sounds a semitone lower"
SEED_HELP = "fixes initialisation, split, mixtures, sampling and phase"
CUDA_HELP = "-1 or cpu: the CPU; N or cuda:N: CUDA device N; cuda: the first"


def constant(default: Any, unit: str, origin: str) -> Any:
    """A dataclass field for a constant of a method: its unit and where its value comes from.

    Both are in the field's metadata. Example: ``onset_tolerance: float = constant(0.05, unit="s",
    origin="MIREX")``.
    """
    return field(default=default, metadata={"unit": unit, "origin": origin})


def flag(
    default: Any,
    help: str,
    group: str = "Options",
    kind: str | tuple[str, ...] = "",
    *,
    short: str = "",
    at_least: int | None = None,
    at_most: int | None = None,
    default_text: str | None = None,
    resumable: bool = False,
    objective: bool = False,
    identity: bool = True,
    needs: tuple[str, object] | None = None,
    modes: tuple[str, ...] = (),
) -> Any:
    """A dataclass field that is also a command-line flag of the same name (see `lt.cli.options`).

    Args:
        default: of the field and of the flag.
        help: one line, without the default.
        group: heading in the help.
        kind: allowed values: a tuple of choices; an interval such as "[0, 1]" or "(0, inf)"; a
            name among `lt.cli.KINDS` ("switch", "name", "path"); "": those of the field's type.
        short: short form, such as "-n".
        at_least, at_most: for tuples, the number of values.
        default_text: shown in the help instead of the default.
        resumable: whether the value may change when a run is continued.
        objective: whether losses before and after a change of it cannot be compared.
        identity: whether it identifies a run (paths and schedules of saving do not).
        needs: (flag, value) without which this flag has no effect.
        modes: modes of `lt_play.py` in which the flag has a meaning.
    """
    about = {name: value for name, value in locals().items() if name != "default"}
    return field(default=default, metadata=about)


def short_repr(config: Any) -> str:
    """`Name(field=value, ...)` of the fields that differ from their defaults, as `__repr__` of
    settings: in `help`, a default argument takes a line, not a page.
    """
    changed = [
        f"{entry.name}={getattr(config, entry.name)!r}"
        for entry in fields(config)
        if getattr(config, entry.name) != entry.default
    ]
    return f"{type(config).__name__}({', '.join(changed)})"


def fields_with(config: type, key: str) -> tuple[str, ...]:
    """Names of the fields of a dataclass whose metadata `key` is true."""
    return tuple(entry.name for entry in fields(config) if entry.metadata.get(key))


def scalar_type(hint: Any) -> type:
    """`int`, `float` or `str` of a field's type: that of the entries of a tuple, of an optional."""
    return (get_args(hint) or (hint,))[0]


def in_interval(value: float, bounds: str) -> bool:
    """Whether a number is in an interval such as "[0, 1]" or "(0, inf)", and below `LARGEST`."""
    low, high = map(float, bounds[1:-1].split(","))
    on_bound = value == low and bounds[0] == "[" or value == high and bounds[-1] == "]"
    return abs(value) < LARGEST and (low < value < high or on_bound)


def check_flags(config: object) -> None:
    """Check the fields of a settings dataclass that were made by `flag`: their types, choices and
    intervals, as the command line does.

    Raises:
        ValueError: a value that the flag does not take.
    """
    hints = get_type_hints(type(config))
    for entry in fields(config):
        value, kind = getattr(config, entry.name), entry.metadata.get("kind", "")
        several = get_origin(hints[entry.name]) is tuple
        allowed = "[0, 1]" if kind == "switch" else kind
        for item in value if several and isinstance(value, tuple) else (value,):
            fits = several == isinstance(value, tuple) and _is_a(
                scalar_type(hints[entry.name]), item
            )
            if isinstance(allowed, tuple):
                fits = fits and item in allowed
            elif allowed.startswith(("[", "(")):
                fits = fits and in_interval(item, allowed)
            if not fits:
                expected = allowed or hints[entry.name]
                raise ValueError(f"{entry.name} cannot be {value!r}; expected {expected}")


def settings_from_dict(kind: type[Settings], values: dict[str, object]) -> Settings:
    """A settings dataclass from plain JSON values (lists become tuples), checked against the types
    of its fields. Fields that are missing get their defaults: settings that a later version added
    have defaults that change nothing.

    Raises:
        ValueError: a field that this version does not have, or a value of another type.
        TypeError: a field without a default is missing.
    """
    hints = get_type_hints(kind)
    unknown = sorted(values.keys() - hints.keys())
    if unknown:
        raise ValueError(f"settings of another version: {', '.join(unknown)}")
    converted = {}
    for name, value in values.items():
        several = get_origin(hints[name]) is tuple
        entries = value if isinstance(value, list) else [value]
        if several != isinstance(value, list) or not all(
            _is_a(scalar_type(hints[name]), entry) for entry in entries
        ):
            raise ValueError(f"{name} cannot be {str(value)[:40]}")
        converted[name] = tuple(entries) if several else value
    return kind(**converted)


def _is_a(kind: type, value: object) -> bool:
    """Whether a JSON value is of a field's type; numbers must be finite and below `LARGEST`."""
    if kind is str or isinstance(value, (str, bool)):
        return kind is str and isinstance(value, str)
    return isinstance(value, (int, kind)) and abs(value) < LARGEST
