"""Connectors: files and databases as frames. Each reads everything or says what is wrong, and where."""
