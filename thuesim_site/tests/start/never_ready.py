"""A program of the desk's own code that begins and never says that it is ready, for `test_processes`."""

import time

if __name__ == "__main__":
    time.sleep(60)
