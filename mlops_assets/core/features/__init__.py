"""What a model sees of a row: derived features, and the encodings learnt from training rows alone.

In: columns by alias and the dataset's spec. Out: one sparse and one dense matrix, (n, k), from one fitted encoder.
"""
