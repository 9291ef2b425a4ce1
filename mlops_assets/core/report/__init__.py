"""How results look on paper: small pictures as SVG, and documents of headings, tables and pictures.

In: arrays and words. Out: SVG bytes, Markdown, one HTML page; the same input gives the same bytes.
"""
