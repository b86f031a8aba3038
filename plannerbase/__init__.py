"""What every reader of files from strangers needs, whatever the files are about: text, tables, archives, markup.

It knows neither of the packages that use it; what it refuses it says as the end of a sentence (`Refused`).
"""

__version__ = "0.1.0"  # of the product
