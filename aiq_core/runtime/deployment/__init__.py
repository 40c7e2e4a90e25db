"""Runs networks in the runtimes that they are deployed in, and measures that."""
