"""What can be fitted: model types and their search spaces, estimators of every library, and their files.

In: a matrix (n, k), a target (n,) and hyperparameters. Out: a fitted estimator, saved without pickle.
"""
