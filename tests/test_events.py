"""Event files: the same bytes as TensorBoard's own writer makes, which a loop in Python sums."""

import io
import struct

from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from aetrain.events import EventFile


@given(st.lists(st.tuples(st.text(max_size=300), st.integers(0, 2**40)), max_size=5))
def test_a_file_is_what_tensorboards_writer_makes_of_the_same_events(tmp_path_factory, summaries):
    folder = tmp_path_factory.mktemp("events")
    written = EventFile(folder, step=3)
    for tag, step in summaries:
        written.add(Summary(value=[Summary.Value(tag=tag, simple_value=1.5)]), step)
    written.close()
    (path,) = folder.iterdir()
    found, again = path.read_bytes(), io.BytesIO()
    records = RecordWriter(again)
    events = list(_records(found))
    for data in events:
        records.write(data)
    assert found == again.getvalue()
    steps = [Event.FromString(data).step for data in events]
    assert steps == [0, 4, *(step for _, step in summaries)]  # the version, where the run goes on, what was added


def _records(content: bytes):
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        yield content[12 : 12 + length]
        content = content[16 + length :]
