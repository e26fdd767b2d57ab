"""Nonstationary Gabor transform on a constant-Q scale in batched torch, and phase retrieval on it."""

from nsgt_wrap.design import NSGTDesign
from nsgt_wrap.phase import frames_to_coefficients, griffin_lim
from nsgt_wrap.transform import NSGT

__all__ = ["NSGT", "NSGTDesign", "frames_to_coefficients", "griffin_lim"]
