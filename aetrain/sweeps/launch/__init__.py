"""How the members of a sweep are run: ways.py chooses, then one file for each way."""
