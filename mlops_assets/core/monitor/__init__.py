"""What became of it: drift of a period against what the model has learnt from, and errors once the truth is known.

In: columns of two samples, or answers beside their truth. Out: reports with effect sizes, numbers and sentences.
"""
