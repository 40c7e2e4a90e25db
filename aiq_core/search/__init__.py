"""Strategies that choose policies; each asks for accuracies and yields the steps it takes."""
