"""Where and when the flows run: the Prefect server, deployments and schedules."""
