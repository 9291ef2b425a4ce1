"""How the project's own tables came to be: one file a step, forward only.

A step says what it makes in its own words, and imports none of the tables of today: those change. Steps up to 0002 take
what is there already, for databases from before there were migrations.
"""
