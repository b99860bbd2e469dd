"""Networks need little memory beyond the data they are given."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESET = Path("/proc/self/clear_refs")

# Cases of benchmarks/memory.py: their size, and the most bytes for each of the data, or character.
# What does not grow with the data, layers and blocks, takes some of these.
MOST = {
    "RNNLanguageModel, fit, one string": (3, 20),
    "RNNLanguageModel, fit, strings": (3, 20),
    "VAETransformer, fit, float32, 50 columns": (30, 2),
    "VAETransformer, early stopping, fit, float32, 50 columns": (30, 2),
    "VAETransformer, transform, float32, 50 columns": (30, 2),
}
MEASURE = """
import json, memory
found = {name: memory.measure(memory.CASES[name], size) for name, size in %r.items()}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    """Bytes beyond the data and of the data, in a process of its own."""
    if not os.access(RESET, os.W_OK):
        pytest.skip("peaks of memory are counted by Linux")
    sizes = {name: size for name, (size, _) in MOST.items()}
    paths = [str(ROOT), str(ROOT / "benchmarks")]
    # With a fixed threshold no array stays with the process to hide the next one.
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-W", "ignore", "-c", MEASURE % sizes]
    return json.loads(subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE).stdout)


@pytest.mark.parametrize("name", MOST)
def test_memory_beyond_the_data_is_bounded_by_the_data(name, found):
    beyond, data = found[name]
    assert 0 < beyond < MOST[name][1] * data
