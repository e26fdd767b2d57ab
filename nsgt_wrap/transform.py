"""The transform: audio of any length to complex constant-Q coefficients and back.

Purpose: the nonstationary Gabor transform for use: checked shapes, any leading axes, streams,
    frames of magnitudes.
Conventions: `audio: (..., samples)`, `coefficients: (..., bins, coefficients)` complex; coefficient
    m of every band is at sample m * hop. The signal is zero before its beginning and after its end.
    How it is sliced: see `slices`.
Names: magnitudes are absolute values of coefficients; a frame is the mean of the magnitudes over
    frame_hop samples.
"""

from __future__ import annotations

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

    Args: design: the frame; dtype: of the audio, torch.float32 or torch.float64.

    Raises: ImportError when nsgt is missing; ValueError for another dtype.
    """

    def __init__(
        self, design: NSGTDesign | None = None, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"expected torch.float32 or torch.float64, got {dtype}")
        self.design = design or NSGTDesign()
        self.slices = Slices(self.design, dtype)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Coefficients (..., bins, ceil(samples / hop)) of `audio: (..., samples)`, complex.

        Raises: ValueError when there are no samples or their dtype is not the module's.
        """
        self._check_audio(audio)
        coefficients = Analysis.apply(audio.reshape(-1, audio.shape[-1]), self.slices, False)
        return coefficients.reshape(*audio.shape[:-1], *coefficients.shape[1:])

    def inverse(self, coefficients: torch.Tensor, n_samples: int) -> torch.Tensor:
        """Audio (..., n_samples) from `coefficients: (..., bins, coefficients)` through the dual
        windows.

        Raises: ValueError when the bins, or the coefficients for n_samples, are not as many as they
        must be.
        """
        self.check_coefficients(coefficients, n_samples)
        rows = coefficients.reshape(-1, *coefficients.shape[-2:])
        audio = Synthesis.apply(rows, self.slices, n_samples, True)
        return audio.reshape(*coefficients.shape[:-2], n_samples)

    def slice_forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Coefficients (..., bins, coefficients) of one slice `audio: (..., slice_length)` as it
        is, with no Hann window: what the nsgt library computes. Not differentiable.

        Raises: ValueError when the length is not the slice's.
        """
        self._check_audio(audio)
        if audio.shape[-1] != self.design.slice_length:
            raise ValueError(
                f"expected a slice of {self.design.slice_length} samples, got {audio.shape[-1]}"
            )
        rings = audio.detach().reshape(-1, audio.shape[-1])
        grids = torch.stack(list(self.slices.grids([rings])))
        return grids.reshape(*audio.shape[:-1], *grids.shape[1:])

    def slice_inverse(self, coefficients: torch.Tensor) -> torch.Tensor:
        """One slice (..., slice_length) from its `coefficients: (..., bins, coefficients)`. Not
        differentiable.

        Raises: ValueError when the shape is not that of a slice.
        """
        self.check_coefficients(coefficients, self.design.slice_length)
        grids = coefficients.detach().reshape(-1, *coefficients.shape[-2:])
        audio = torch.stack(list(self.slices.ungrid(grids)))
        return audio.reshape(*coefficients.shape[:-2], self.design.slice_length)

    @torch.no_grad()
    def stream(self, blocks: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Coefficients of a signal that comes in `blocks: (samples,)` of any sizes, in bounded
        memory.

        Yields complex (bins, coefficients) blocks that, put together, are `forward` of the blocks
        put together.

        Raises: ValueError when there are no samples at all.
        """
        lengths: list[int] = []
        rings = self.slices.rings(self._halves(blocks, lengths))
        for before, after in overlaps(self.slices.grids(rings)):
            width = -(-lengths.pop(0) // self.design.hop)
            yield before[:, :width] + after[:, :width]

    def magnitude_frames(self, audio: torch.Tensor, frame_hop: int = 704) -> torch.Tensor:
        """Mean magnitudes (frames, bins) of `audio: (samples,)`; frame n covers the samples from n
        * frame_hop up to (n + 1) * frame_hop; frames = ceil(samples / frame_hop). Not
        differentiable.

        Raises: ValueError as `forward` does, and when frame_hop does not divide half a slice into
        whole hops.
        """
        return torch.cat(list(self.stream_magnitude_frames([audio], frame_hop)))

    def stream_magnitude_frames(
        self, blocks: Iterable[torch.Tensor], frame_hop: int = 704
    ) -> Iterator[torch.Tensor]:
        """`magnitude_frames` of a signal that comes in `blocks: (samples,)`, in bounded memory;
        yields (frames, bins).

        Raises: ValueError as `magnitude_frames` does.
        """
        factor, rest = divmod(frame_hop, self.design.hop)
        if factor < 1 or rest or self.slices.half % frame_hop:
            raise ValueError(
                f"expected a frame_hop that is a multiple of {self.design.hop} and divides"
                f" {self.slices.half}, got {frame_hop}"
            )
        mean = self.slices.hann.new_full((factor,), 1 / factor)
        for coefficients in self.stream(_padded(blocks, frame_hop)):
            magnitudes = magnitude(coefficients)
            yield (magnitudes.view(len(magnitudes), -1, factor) @ mean).T.contiguous()

    def _halves(self, blocks: Iterable[torch.Tensor], lengths: list[int]) -> Iterator[torch.Tensor]:
        """The stream in halves (half,), the last one filled up; `lengths` gets how long each truly
        is.
        """
        half, waiting, n_samples = self.slices.half, self.slices.hann.new_zeros(0), 0
        for block in blocks:
            self._check_audio(block, dimensions=1)
            n_samples += len(block)
            waiting = torch.cat((waiting, block))
            *whole, waiting = waiting.tensor_split(tuple(range(half, len(waiting) + 1, half)))
            lengths.extend([half] * len(whole))
            yield from whole
        if len(waiting):
            lengths.append(len(waiting))
            yield from self.slices.halves(waiting)
        if not n_samples:
            raise ValueError("expected at least one sample, got none")

    def _check_audio(self, audio: torch.Tensor, dimensions: int | None = None) -> None:
        if audio.dtype != self.slices.hann.dtype:
            raise ValueError(f"expected {self.slices.hann.dtype} samples, got {audio.dtype}")
        if dimensions and audio.ndim != dimensions:
            raise ValueError(f"expected audio of shape (samples,), got {tuple(audio.shape)}")
        if not dimensions and (audio.ndim < 1 or audio.shape[-1] < 1):
            raise ValueError(
                f"expected at least one sample, got audio of shape {tuple(audio.shape)}"
            )

    def check_coefficients(self, coefficients: torch.Tensor, n_samples: int) -> None:
        expected = self.design.n_bins, -(-n_samples // self.design.hop)
        if n_samples < 1 or tuple(coefficients.shape[-2:]) != expected:
            raise ValueError(
                f"expected {expected[0]} bins and {expected[1]} coefficients for {n_samples} "
                "samples,"
                f" got shape {tuple(coefficients.shape)}"
            )


def magnitude(coefficients: torch.Tensor) -> torch.Tensor:
    """Absolute values of `coefficients`, several times faster than abs() (no guard against overflow
    of squares).
    """
    squares = torch.view_as_real(coefficients).square()
    return (squares[..., 0] + squares[..., 1]).sqrt_()


def _padded(blocks: Iterable[torch.Tensor], multiple: int) -> Iterator[torch.Tensor]:
    """The blocks, and after them zeros up to a multiple of so many samples in all."""
    n_samples = 0
    for block in blocks:
        n_samples += block.shape[-1]
        yield block
    if n_samples % multiple:
        yield block.new_zeros(multiple - n_samples % multiple)
