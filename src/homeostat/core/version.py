"""The version of this Homeostat."""

VERSION = "0.1.0"
