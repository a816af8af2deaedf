"""What programs ask for: ThueSim's callbacks, health checks, metrics."""
