"""Images that were decoded once and lie ready in a folder: how it is made, checked and read.

The folder holds ``prepared.json`` (``index``) and shards, array_record files of images as arrays
(``records``). ``making`` writes it, ``source`` and ``streaming`` read it.
"""
