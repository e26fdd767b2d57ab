"""Rows gathered block by block are the blocks one after another."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lt.rows import Rows


@given(
    lengths=st.lists(st.integers(0, 40), max_size=30),
    columns=st.sampled_from([(), (1,), (3,), (2, 3)]),
    kind=st.sampled_from([np.float16, np.float32, np.int64]),
)
def test_rows_are_the_blocks_one_after_another(lengths, columns, kind):
    random = np.random.default_rng(0)
    blocks = [random.integers(0, 99, (length, *columns)).astype(kind) for length in lengths]
    rows = Rows(blocks)
    assert len(rows) == sum(lengths)
    if sum(lengths):
        np.testing.assert_array_equal(rows.array(), np.concatenate(blocks))
        assert rows.array().dtype == kind and rows.array().flags.owndata


def test_what_is_gathered_is_a_copy():
    block = np.ones((2, 3))
    rows = Rows([block])
    block[:] = 0
    np.testing.assert_array_equal(rows.array(), np.ones((2, 3)))
    assert len(Rows().array()) == 0
