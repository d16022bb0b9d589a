"""The Prefect flows: in what order the steps run, and what happens to the other sheets."""
