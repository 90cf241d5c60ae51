import importlib
import subprocess
import sys

import pytest

import risk


def test_every_exported_name_is_there() -> None:
    for name in risk.__all__:
        assert getattr(risk, name) is not None


def test_a_name_that_is_not_exported_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'risk' has no attribute 'hope'"):
        importlib.import_module("risk").hope  # noqa: B018 - looking is the test


def test_texts_and_profiles_do_not_wait_for_a_compiler() -> None:
    code = (
        "import sys, risk; risk.rendered('fresh', passed=True, value=1.0, limit=60.0); risk.shipped_profile('default');"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
