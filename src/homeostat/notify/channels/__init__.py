"""One file for each kind of channel: a message in that service's form, and nothing about delivery."""
