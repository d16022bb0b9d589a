"""One Prefect task for each step of a sheet: how persistently it is tried."""
