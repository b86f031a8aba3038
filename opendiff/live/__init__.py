"""Open data of any area: fetched from the providers or read from the user's own files, kept as a pack.

What is asked for (`choices`) of whom (`providers`) is fetched by `imagery`, `population` and `overpass` and kept by
`store`; `fetching` joins them, and `source` is what the generator asks.
"""
