"""A first YAML for a table that nobody has described: how it is written, what its columns are, what may be learnt from.

In: a file, files by period, or a table of a database. Out: the text of a YAML that works, with its reasons beside it.
Guesses are made here and nowhere else: they stand in the YAML, where people see and change them.
"""
