"""The query language: what is typed to find, order and group runs, read (`parsing`) and turned into SQL (`sql`)."""
