"""What reading a graph takes: no torch."""

import subprocess
import sys


def test_the_ir_does_not_import_torch() -> None:
    code = "import sys, opscope.ir; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
