"""The transform: audio of any length to complex constant-Q coefficients and back.

`NSGT` checks shapes, keeps leading axes, and transforms streams and frames of magnitudes.
Coefficient m of every band is at sample m * hop. The signal is zero before its beginning and after
its end; how it is cut into slices is in `slices`.

Names: `audio: (..., samples)`, `coefficients: (..., bins, coefficients)` complex; magnitudes are
absolute values of coefficients, and a frame their mean over frame_hop samples.
"""

from __future__ import annotations

from itertools import tee
from typing import TYPE_CHECKING

import torch
from torch import nn

from nsgt_wrap.design import NSGTDesign
from nsgt_wrap.slices import Analysis, Slices, Synthesis, overlaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class NSGT(nn.Module):
    """Nonstationary Gabor transform on a constant-Q scale (Balazs et al. 2011; Velasco et al.
    2011), by slices (after Holighaus et al. 2013, with Hann windows).

    Args:
        design: the frame.
        dtype: of the audio, torch.float32 or torch.float64.

    Example:
        >>> nsgt = NSGT(NSGTDesign(22050, 30.0, 11000.0, 48, slice_length=90112, hop=64))
        >>> coefficients = nsgt(torch.randn(22050))
        >>> coefficients.shape
        torch.Size([410, 345])
        >>> audio = nsgt.inverse(coefficients, 22050)

    Raises:
        ImportError: nsgt is missing.
        ValueError: another dtype.
    """

    def __init__(self, design: NSGTDesign, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"expected torch.float32 or torch.float64, got {dtype}")
        self.design = design
        self.slices = Slices(design, dtype)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Coefficients (..., bins, ceil(samples / hop)) of `audio: (..., samples)`, complex.

        Raises:
            ValueError: there are no samples, or their dtype is not the module's.
        """
        has_samples = audio.ndim > 0 and audio.shape[-1] > 0
        self._check_audio(audio, has_samples, "(..., samples) with at least one sample")
        coefficients = Analysis.apply(audio.reshape(-1, audio.shape[-1]), self.slices, False)
        return coefficients.reshape(*audio.shape[:-1], *coefficients.shape[1:])

    def inverse(self, coefficients: torch.Tensor, n_samples: int) -> torch.Tensor:
        """Audio (..., n_samples) of `coefficients: (..., bins, coefficients)` by the dual windows.

        Raises:
            ValueError: another number of bins, or of coefficients for n_samples.
        """
        self.check_coefficients(coefficients, n_samples)
        rows = coefficients.reshape(-1, *coefficients.shape[-2:])
        audio = Synthesis.apply(rows, self.slices, n_samples, True)
        return audio.reshape(*coefficients.shape[:-2], n_samples)

    def stream(self, blocks: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Coefficients of a signal in `blocks: (samples,)` of any sizes, in bounded memory.

        Yields:
            Complex (bins, coefficients) blocks that put together are `forward` of the whole signal.

        Raises:
            ValueError: there are no samples at all.
        """
        return self._stream(blocks, self.design.hop)

    @torch.no_grad()
    def _stream(self, blocks: Iterable[torch.Tensor], step: int) -> Iterator[torch.Tensor]:
        """Coefficients (bins, coefficients) of each half slice, up to a whole number of steps of
        `step` samples.
        """
        halves, pieces = tee(self._halves(blocks))
        slices = self.slices.grids(self.slices.rings(halves))
        for piece, (before, after) in zip(pieces, overlaps(slices)):
            width = -(-len(piece) // step) * step // self.design.hop
            yield before[:, :width] + after[:, :width]

    def magnitude_frames(self, audio: torch.Tensor, frame_hop: int) -> torch.Tensor:
        """Mean magnitudes (ceil(samples / frame_hop), bins) of `audio: (samples,)`; frame n covers
        the samples from n * frame_hop up to (n + 1) * frame_hop. Not differentiable.

        Raises:
            ValueError: as `forward`, or frame_hop does not divide half a slice into whole hops.
        """
        return torch.cat(list(self.stream_magnitude_frames([audio], frame_hop)))

    def stream_magnitude_frames(
        self, blocks: Iterable[torch.Tensor], frame_hop: int
    ) -> Iterator[torch.Tensor]:
        """`magnitude_frames` of a signal in `blocks: (samples,)`, in bounded memory; yields
        (frames, bins).

        Raises:
            ValueError: as `magnitude_frames`.
        """
        factor, rest = divmod(frame_hop, self.design.hop)
        if factor < 1 or rest or self.slices.half % frame_hop:
            raise ValueError(
                f"expected a frame_hop that is a multiple of {self.design.hop} and divides "
                f"{self.slices.half}, got {frame_hop}"
            )
        mean = self.slices.hann.new_full((factor,), 1 / factor)
        for coefficients in self._stream(blocks, frame_hop):
            magnitudes = magnitude(coefficients)
            yield (magnitudes.view(len(magnitudes), -1, factor) @ mean).T.contiguous()

    def _halves(self, blocks: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """The signal in pieces of half a slice, the last one as long as it is."""
        half = self.slices.half
        waiting = self.slices.hann.new_zeros(0)
        is_empty = True
        for block in blocks:
            self._check_audio(block, block.ndim == 1, "(samples,)")
            waiting = torch.cat((waiting, block))
            *whole, waiting = waiting.tensor_split(tuple(range(half, len(waiting) + 1, half)))
            is_empty = is_empty and not len(block)
            yield from whole
        if is_empty:
            raise ValueError("expected at least one sample, got none")
        if len(waiting):
            yield waiting

    def _check_audio(self, audio: torch.Tensor, has_shape: bool, shape: str) -> None:
        if audio.dtype != self.slices.hann.dtype or not has_shape:
            raise ValueError(
                f"expected {self.slices.hann.dtype} audio of shape {shape}, got {audio.dtype} of "
                f"shape {tuple(audio.shape)}"
            )

    def check_coefficients(self, coefficients: torch.Tensor, n_samples: int) -> None:
        """Raise a ValueError where `coefficients: (..., bins, coefficients)` are not those of
        n_samples.
        """
        expected = self.design.n_bins, -(-n_samples // self.design.hop)
        if n_samples < 1 or tuple(coefficients.shape[-2:]) != expected:
            raise ValueError(
                f"expected {expected[0]} bins and {expected[1]} coefficients for {n_samples} "
                f"samples, got shape {tuple(coefficients.shape)}"
            )


def magnitude(coefficients: torch.Tensor) -> torch.Tensor:
    """Absolute values of `coefficients`, several times faster than abs() (no guard against overflow
    of squares).
    """
    squares = torch.view_as_real(coefficients).square()
    return (squares[..., 0] + squares[..., 1]).sqrt_()
