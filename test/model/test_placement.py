"""The words that a user writes become a device, a number format and threads, or are refused."""

import pytest
import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.placement import (
    DTYPES,
    check_width,
    device_named,
    dtype_named,
    use_threads,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda", 1)


@pytest.fixture
def gpus(monkeypatch):
    """`gpus(count)`: torch sees so many."""

    def see(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return see


def test_auto_takes_a_gpu_where_there_is_one(gpus):
    gpus(0)
    assert device_named("auto") == CPU
    gpus(1)
    assert device_named("auto").type == "cuda"


def test_a_device_must_be_there(gpus):
    gpus(2)
    assert device_named("cuda:1") == GPU
    assert device_named("cpu") == CPU
    for name in ("cuda:2", "cuda:"):
        with pytest.raises(InvalidInputError, match=name):
            device_named(name)
    gpus(0)
    with pytest.raises(InvalidInputError, match="no GPU"):
        device_named("cuda")


@pytest.mark.parametrize("name", ["", "CPU", "tpu", "cuda:x", "cpu:0", "cuda:1 "])
def test_words_that_name_no_device_are_refused(name):
    with pytest.raises(InvalidInputError, match="auto, cuda, cuda:N or cpu"):
        device_named(name)


def test_number_formats():
    assert (dtype_named("auto", CPU), dtype_named("auto", GPU)) == (torch.float32, torch.float16)
    assert [dtype_named(name, GPU) for name in DTYPES] == [torch.float32, torch.float16, torch.bfloat16]
    with pytest.raises(InvalidInputError, match="float32, float16, bfloat16, got 'half'"):
        dtype_named("half", CPU)


def test_narrow_images_are_refused_where_torch_would_be_wrong():
    with pytest.raises(InvalidInputError, match=r"wider images .*bfloat16 on a CPU, got 64x160"):
        check_width((160, 64), 6, CPU, torch.bfloat16)
    check_width((160, 72), 6, CPU, torch.bfloat16)
    check_width((160, 64), 6, CPU, torch.float32)
    check_width((160, 64), 6, GPU, torch.bfloat16)


def test_threads_are_set_left_or_refused():
    before = torch.get_num_threads()
    try:
        use_threads(3)
        assert torch.get_num_threads() == 3
        use_threads(None)
        assert torch.get_num_threads() == 3
        with pytest.raises(InvalidInputError, match="got 0"):
            use_threads(0)
    finally:
        torch.set_num_threads(before)
