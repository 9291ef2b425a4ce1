"""Artefacts on disk or in an object store: immutable, named by their content, whole or not there.

In: tables and folders. Out: a path and a digest; the same bytes wherever they are read.
"""
