"""Graphs of models behind one endpoint: declared as data, checked when they are deployed, answered by their members."""
