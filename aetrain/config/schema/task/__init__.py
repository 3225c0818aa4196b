"""The tasks' configurations: a file each, listed in aetrain/config/tables.py."""
