from pathlib import Path


def rebuild(sweep: Path) -> None:
    pass
