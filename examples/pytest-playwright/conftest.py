import os

import pytest


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    """CHROMIUM names a Chromium that is installed, instead of Playwright's own."""
    path = os.environ.get("CHROMIUM")
    return {**browser_type_launch_args, "executable_path": path} if path else browser_type_launch_args
