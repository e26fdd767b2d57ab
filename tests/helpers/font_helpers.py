"""Sound fonts made byte by byte."""

import struct

import numpy as np

RATE = 22050
PAN = 17  # generator, in tenths of a percent
N_SAMPLES, N_AFTER = 2000, 46  # of the looped sample, and zeros after it (specification, 7.10)


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def font(
    instrument=(),
    preset=(),
    shared=(),
    modulators=(),
    preset_modulators=(),
    presets=((0, 0, b"Saw"),),
    inverted=False,
):
    """A font whose one instrument loops a saw; generators as (kind, amount), modulators as (source,
    target, amount); `shared` generators and `modulators` stand in the instrument's global zone.
    `presets` as (bank, program, name), of that instrument. `inverted`: the right channel is minus
    the left one.
    """
    saw = np.tile(np.linspace(-9000, 9000, 100).astype("<i2"), N_SAMPLES // 100)
    samples = [saw, -saw] if inverted else [saw]
    pans = [((PAN, -500),), ((PAN, 500),)] if inverted else [()]
    zones = [(*instrument, *pan, (54, 1), (53, n)) for n, pan in enumerate(pans)]
    starts = np.cumsum([len(shared), *map(len, zones)]).tolist()

    def generators(rows):
        return b"".join(struct.pack("<Hh", *row) for row in (*rows, (0, 0)))

    def modulated(rows):
        return b"".join(struct.pack("<HHhHH", *row, 0, 0) for row in (*rows, (0, 0, 0)))

    def headers(pattern, *rows):
        return b"".join(struct.pack(pattern, *row) for row in rows)

    n, n_presets, n_modulators = len(preset) + 1, len(presets), len(preset_modulators)
    named = [(name, program, bank, at) for at, (bank, program, name) in enumerate(presets)]
    places = [at * (N_SAMPLES + N_AFTER) for at in range(len(samples))]
    pdta = [
        (b"phdr", headers("<20sHHH12x", *named, (b"EOP", 0, 0, n_presets))),
        (b"pbag", headers("<HH", *((at * n, at * n_modulators) for at in range(n_presets + 1)))),
        (b"pmod", modulated(tuple(preset_modulators) * n_presets)),
        (b"pgen", generators((*preset, (41, 0)) * n_presets)),
        (b"inst", headers("<20sH", (b"Saw", 0), (b"EOI", 1 + len(zones)))),
        (b"ibag", headers("<HH", (0, 0), *((start, len(modulators)) for start in starts))),
        (b"imod", modulated(modulators)),
        (b"igen", generators((*shared, *(row for zone in zones for row in zone)))),
        (
            b"shdr",
            headers(
                "<20sIIIIIBbHH",
                *((b"saw", at, at + 2000, at, at + 2000, RATE, 57, 0, 0, 1) for at in places),
                (b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0),
            ),
        ),
    ]
    body = b"".join(sample.tobytes() + bytes(2 * N_AFTER) for sample in samples)
    return chunk(
        b"RIFF",
        b"sfbk"
        + chunk(b"LIST", b"INFO" + chunk(b"ifil", struct.pack("<HH", 2, 1)))
        + chunk(b"LIST", b"sdta" + chunk(b"smpl", body))
        + chunk(b"LIST", b"pdta" + b"".join(chunk(*each) for each in pdta)),
    )
