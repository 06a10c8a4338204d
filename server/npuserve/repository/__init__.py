"""The model repository: folders scanned, versions chosen, models loaded and looked up."""
