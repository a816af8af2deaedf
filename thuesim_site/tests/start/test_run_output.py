"""What `./run` prints goes on after its output could not be written for a while."""

import subprocess
import sys

from thuesim_site.start.environment import BASE_DIR

# /dev/full says "no space left" to each write, as a full disk does.
PROGRAM = """
import os, sys
from thuesim_site.start.supervise import say
kept = os.dup(1)
full = os.open("/dev/full", os.O_WRONLY)
os.dup2(full, 1)
say("lost")
os.dup2(kept, 1)
say("printed")
"""


def test_a_full_disk_loses_lines_and_not_the_rest_of_the_log() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=BASE_DIR, capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[-1] == "printed"
