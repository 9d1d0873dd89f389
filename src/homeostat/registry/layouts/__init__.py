"""How other tools lay out a model on disk, and how each becomes a package of ours."""
