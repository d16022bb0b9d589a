"""The audit: folders, journal, ledger, records and GridFS held against each other."""
