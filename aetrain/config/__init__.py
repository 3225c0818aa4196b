"""What a run is told: declared by dataclasses, defaults in conf/, checked here. Nothing in this room imports torch."""
