"""A call from Python costs at most 5 microseconds more than one of the C++ API, in the quietest of some rounds."""
import pathlib
import sys

import pytest

pytest.importorskip("bnc")
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from overhead import rounds


def test_a_call_costs_little():
    assert min(into - native for native, into, _ in rounds(5)) <= 5
