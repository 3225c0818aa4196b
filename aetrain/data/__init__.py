"""Where images come from. The contract: facts.py, card.py, split.py; then one file for each source, with `card` and
`load`. The sources are listed in aetrain/config/tables.py."""
