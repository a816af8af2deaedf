"""An upgrade of a desk at work: `bench.upgrade` to a next version, `bench.upgrade.release` from the last one and back."""
