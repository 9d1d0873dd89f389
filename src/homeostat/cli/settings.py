"""`homeostat settings`."""

from __future__ import annotations

import argparse

from homeostat.core.settings import SETTINGS, Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(args: argparse.Namespace) -> int:
    settings = Settings()
    for setting in SETTINGS:
        value = "(set)" if setting.name == "token" and settings.token else repr(getattr(settings, setting.name))
        print(f"{setting.variable:<34} {value:<18} {setting.help}")
    return 0
