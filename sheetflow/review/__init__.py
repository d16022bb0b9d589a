"""Reviews: what a person decides about a sheet, checked, kept, and applied to its reading."""
