"""What the server tells of itself: statistics, metrics, log lines, traces."""
