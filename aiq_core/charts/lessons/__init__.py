"""The figures of the six lessons: each a typed data step, then a figure step."""
