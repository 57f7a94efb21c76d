"""The benchmark of Sentra: definitions as data with their expected answers, measured against a floor."""
