"""What a process loads before it has anything to do."""

from __future__ import annotations

import subprocess
import sys


def test_who_only_hands_out_the_work_of_a_screening_loads_no_torch() -> None:
    """With several jobs the first process waits for the others: two seconds of imports would come before their own."""
    code = (
        "import sys, smearscan.screening; print(*{'torch', 'timm', 'ultralytics', 'scipy.optimize'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == []
