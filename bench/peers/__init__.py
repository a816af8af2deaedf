"""What the desk is compared with: other ways to stream, a plain admin, the smallest site."""

from importlib.util import find_spec


def require(*modules: str) -> None:
    """End the program with a sentence where a peer is not installed, before anything is started."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}. Run: pip install -r bench/requirements.txt")
