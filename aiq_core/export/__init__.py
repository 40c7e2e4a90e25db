"""Policies as files: an ONNX model that runtimes run, and packed storage."""
