"""What a chart can draw: tables with declared columns, each read from one of the stores and kept fresh.

In: a project and its catalogue. Out: data frames, read once and then as far as there is something newer.
"""
