"""What `./run` does before and around the processes: checks, preparation, the first team, supervision."""
