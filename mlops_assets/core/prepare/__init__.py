"""From the rows of a period to clean rows: rules, target, schemas, what a pass over them finds, and the split.

In: typed tables under their aliases. Out: clean tables, check results, column lineage, the parts of a window.
"""
