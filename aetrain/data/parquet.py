"""data=parquet: images in Parquet files, as the sets of Hugging Face come. Needs the extra data."""

from __future__ import annotations

from functools import partial

from aetrain.data import encoded
from aetrain.data.table import scan

card = partial(encoded.card, look=scan)
load = partial(encoded.load, look=scan)
place = partial(encoded.place, look=scan)
content_sum = partial(encoded.content_sum, look=scan)
