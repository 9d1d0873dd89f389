"""What the core's protocols run on, chosen by URL scheme and loaded by name, so that nobody imports these modules."""
