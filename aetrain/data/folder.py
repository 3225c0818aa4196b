"""data=folder: a folder of images, of any kind that Pillow reads, in whatever order people keep them. It is never
written to."""

from __future__ import annotations

from functools import partial

from aetrain.data import encoded
from aetrain.data.scan import scan

card = partial(encoded.card, look=scan)
load = partial(encoded.load, look=scan)
place = partial(encoded.place, look=scan)
content_sum = partial(encoded.content_sum, look=scan)
