"""The figures of the seven lessons: each a typed data step, then a figure step."""
