"""Scripts for those who work on the desk, run from its folder with `python -m scripts.NAME`."""
