"""sheetflow: catalogue sheets into MongoDB, without ever losing one.

This package is the domain: sheets, regions, symbols, pairs, records, custody and store.
It never imports Prefect; `tasks/`, `flows/` and `deployments/` stand on top of it.
"""

__version__ = "0.1.0"
