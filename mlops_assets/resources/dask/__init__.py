"""An existing Dask cluster: trials on its workers, and final fits of XGBoost divided over them.

In: the address of a scheduler. Out: the results that local processes give; a lost worker costs time only.
"""
