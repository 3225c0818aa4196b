"""A sweep's report: report.html, report.json, report.csv and report/*.png, from the files of its runs.

Imports no torch, and matplotlib only when something is drawn: it is rebuilt after every run of a sweep.
"""

from aetrain.sweeps.report.write import command, make, rebuild, refresh

__all__ = ["command", "make", "rebuild", "refresh"]
