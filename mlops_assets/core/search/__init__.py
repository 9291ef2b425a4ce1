"""The search for hyperparameters: what to try next, each trial, where trials run, and their memory on disk.

In: a training set, a model type, a budget and a seed. Out: the best trial and the course of the search.
"""
