"""What people and machines are told: notices of trouble, log lines, figures."""
