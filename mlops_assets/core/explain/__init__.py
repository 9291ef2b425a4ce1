"""Why a model says what it says: weights of features, contributions to single rows, and the model card.

In: a model and some rows. Out: numbers, pictures as PNG bytes, a card as Markdown and HTML.
"""
