"""Reading W&B's own files, without W&B's service: records of protobuf in LevelDB's log format."""

import json
import struct
from pathlib import Path

BLOCK, HEADER = 32768, 7  # bytes


def records(path: Path):
    """Every record of a .wandb file, in order."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, begun = path.read_bytes(), 7, b""
    assert content.startswith(b":W&B")
    while at + HEADER <= len(content):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _crc, length, kind = struct.unpack("<IHB", content[at : at + HEADER])
        begun += content[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # a whole one, or its last part
            record = Record()
            record.ParseFromString(begun)
            begun = b""
            yield record


def items(entries):
    return {entry.key or ".".join(entry.nested_key): json.loads(entry.value_json) for entry in entries}


def contents(folder: Path):
    """Of all files below a run's folder: ids, configuration, history as (step, values), and summary."""
    ids, config, history, summary = [], {}, [], {}
    for path in sorted(folder.glob("wandb/*/*.wandb")):
        for record in records(path):
            match record.WhichOneof("record_type"):
                case "run":
                    ids.append(record.run.run_id)
                    config |= items(record.run.config.update)
                case "config":
                    config |= items(record.config.update)
                case "history":
                    history.append((record.history.step.num, items(record.history.item)))
                case "summary":
                    summary |= items(record.summary.update)
    return ids, config, history, summary
