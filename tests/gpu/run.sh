#!/usr/bin/env bash
# The op, layer and example tests on an NVIDIA GPU: tests/gpu/run.sh DIR
#
# Needs: a GPU, nvcc on the PATH, and a Python (PYTHON, default python3) with pytest, hypothesis, numpy, llvmlite and
# pycuda. Prints a short table last; DIR receives pytest's log, the JUnit results and the table as JSON.
set -uo pipefail
directory=${1:?usage: tests/gpu/run.sh DIR (where the full results are written)}
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=${PYTHON:-python3}

export TGL_DEVICE=CUDA
"$python" - <<'END' || exit 2
import sys
from runtime import DeviceError, get_device
try:
    print(get_device(), get_device().target)
except DeviceError as error:
    sys.exit(f"{error}")
END

# Left out: the CPU device and its thread pool, and the emulation of CUDA, which are tested on any machine.
cpu_only=(tests/runtime/test_cpu_device.py tests/runtime/test_thread_pool.py tests/runtime/test_cuda_emulated.py
          tests/tinygrad_like/test_cuda_training.py)
"$python" -m pytest tests/gpu tests/runtime tests/tinygrad_like "${cpu_only[@]/#/--ignore=}" -p no:cacheprovider \
  --junitxml="$directory/results.xml" >"$directory/pytest.log" 2>&1
status=$?
tail -n 40 "$directory/pytest.log"
"$python" tests/gpu/summary.py "$directory/results.xml" "$directory/summary.json"
exit $status
