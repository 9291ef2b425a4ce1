"""How results look on paper: small plots without a display, and documents of headings, tables and pictures.

In: arrays and words. Out: PNG bytes, Markdown, one HTML page; the same input gives the same bytes.
"""
