"""Runs of scripts that know nothing of Homeostat: `homeostat run train.py lr=0.1`."""
