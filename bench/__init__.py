"""Measurements, printed as ratios beside a peer in the same run. `bench/requirements.txt` has what the peers need."""
