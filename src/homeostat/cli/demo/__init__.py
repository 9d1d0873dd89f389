"""`homeostat demo`: a year of real flights through the whole loop, told as it happens."""

from homeostat.cli.demo.command import add_arguments as add_arguments
from homeostat.cli.demo.command import run as run
