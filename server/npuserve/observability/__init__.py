"""What the server tells of itself: statistics and log lines."""
