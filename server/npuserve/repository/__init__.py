"""The model repository: folders scanned, versions chosen, models loaded, looked up and changed while in use."""
