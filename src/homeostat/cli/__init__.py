"""The command line: hand-made commands for what people type daily, and one command a verb for everything else."""
