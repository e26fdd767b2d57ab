import threading

import pytest
import torch

from lt.threads import side_by_side


@pytest.fixture(params=[1, 3])
def n_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order_each_computed_by_one_thread(n_threads):
    def work(item):
        return 2 * item, torch.get_num_threads(), torch.is_grad_enabled()

    results = list(side_by_side(work, range(10)))
    assert results == [(2 * item, 1, False) for item in range(10)]
    assert torch.get_num_threads() == n_threads and torch.is_grad_enabled()


def test_a_stream_is_not_taken_whole(n_threads):
    taken = []
    stream = (taken.append(item) or item for item in range(1000))
    results = side_by_side(lambda item: item, stream)
    assert [next(results), next(results)] == [0, 1] and len(taken) < 10
    results.close()
    assert torch.get_num_threads() == n_threads


def test_an_error_is_raised_where_its_result_would_be(n_threads):
    results = side_by_side(lambda item: 1 // item, [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not [own for own in threading.enumerate() if own.name.startswith("lt")]


def test_items_are_worked_on_at_once():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    both = threading.Barrier(2, timeout=20)
    try:
        assert sorted(side_by_side(lambda item: both.wait() * 0 + item, range(4))) == [0, 1, 2, 3]
    finally:
        torch.set_num_threads(before)
