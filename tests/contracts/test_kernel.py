import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine.series  # noqa: F401 - the kernels that are looked at
from contracts import kernel
from contracts.kernel import warm_up
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


FORMULAS = """
from contracts.kernel import formula

@formula
def scaled(value):
    return value * {factor}
"""
CALLER = """
import formulas
from numba import types
from contracts.kernel import kernel, warm_up

@kernel(types.float64(types.float64), also=(formulas,))
def doubled(value):
    return formulas.scaled(value) * 2

warm_up()
print(doubled(1.0), sum(doubled.stats.cache_hits.values()))
"""


def test_a_kernel_is_compiled_again_where_a_formula_of_another_module_changed(tmp_path: Path) -> None:
    (tmp_path / "formulas.py").write_text(FORMULAS.format(factor="3.0"))
    (tmp_path / "caller.py").write_text(CALLER)

    def said() -> list[str]:
        root = str(Path(__file__).parents[2])
        done = subprocess.run(
            [sys.executable, "-B", str(tmp_path / "caller.py")],
            env={**os.environ, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.split()

    assert said() == ["6.0", "0"]
    assert said() == ["6.0", "1"]
    (tmp_path / "formulas.py").write_text(FORMULAS.format(factor="10.0"))
    assert said() == ["20.0", "0"]
