"""How the help of commands with many defaults looks: the worker's, and those of the front door that are like it."""

import argparse


class DefaultsAndExamples(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows every option's default and keeps the examples as written."""
