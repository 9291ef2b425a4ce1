"""Kinds of target: what they may be, how errors are counted, what an estimator's output becomes, how sure it is.

In: a target as the dataset's YAML has it, its values and estimators' raw output; out: losses by row, answers, pictures.
"""
