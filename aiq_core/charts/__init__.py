"""Plotly figures in two steps: a typed data step (pure), then a figure step that builds a dict. No streamlit or SQL."""
