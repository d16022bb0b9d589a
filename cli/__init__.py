"""The `sheetflow` command: a thin shell over the domain and the flows."""
