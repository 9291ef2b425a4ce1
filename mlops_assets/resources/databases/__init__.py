"""The project's own tables, in SQLite beside the data or in PostgreSQL: their schema, migrations and transactions.

In: a URL. Out: connections to tables of the newest form; the prediction log.
"""
