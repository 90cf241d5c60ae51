import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from engine import kernel, warm_up
from engine.bars import first_unsound


def test_warming_up_twice_compiles_nothing_new() -> None:
    assert warm_up() >= 3
    assert warm_up() == len(kernel._kernels)
    assert [len(dispatcher.signatures) for dispatcher, _ in kernel._kernels] == [1] * len(kernel._kernels)


def test_a_kernel_refuses_arrays_of_another_type_instead_of_compiling_for_them() -> None:
    warm_up()
    prices: Any = np.ones(3, np.float32)
    with pytest.raises(TypeError, match="No matching definition"):
        first_unsound(np.zeros(3, np.int64), prices, prices, prices, prices, prices, -1, 1)


def test_every_kernel_keeps_the_order_and_rounding_of_what_is_written() -> None:
    for dispatcher, _ in kernel._kernels:
        assert dispatcher.targetoptions["error_model"] == "numpy"
        assert not dispatcher.targetoptions.get("fastmath", False)
        assert not dispatcher.targetoptions.get("parallel", False)


def test_the_module_can_be_run_to_compile_the_kernels() -> None:
    done = subprocess.run([sys.executable, "-m", "engine"], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
