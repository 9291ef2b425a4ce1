"""Everything that is said to MLflow: runs, trials, logged models, the registry with its alias `champion`.

In: an address. Out: runs that always end, versions with their history; no password in any message.
"""
