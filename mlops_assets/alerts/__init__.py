"""Who is told what: alerts from runs and assets, put together as mails, kept in an outbox until they are delivered.

In: Dagster's events and the registry's history. Out: mail, each alert once, none lost.
"""
