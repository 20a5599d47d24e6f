"""How the help of commands with many defaults looks: the worker's, and those of the front door that are like it."""

import argparse


class DefaultsAndExamples(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows every default that says something and keeps the examples as written."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # What must be given has none, what is None is told in words where it means anything, and a flag is off.
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)
