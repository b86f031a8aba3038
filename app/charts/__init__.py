"""Charts, all of one look: a module a page. Arrays and tables in, plotly figures out."""
