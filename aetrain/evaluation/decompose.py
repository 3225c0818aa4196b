"""Decompositions of large matrices, in a process of their own: in this one, a library call of minutes would keep
signals waiting until its end."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing.connection import Connection

import torch
from torch import Tensor

LARGE = 1500  # rows from which on it takes longer than a second


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues in ascending order, (P,), and eigenvectors in columns, (P, P), of a symmetric matrix."""
    if len(matrix) < LARGE or matrix.device.type != "cpu":
        return torch.linalg.eigh(matrix)
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_eigh, args=(matrix.numpy(), torch.get_num_threads(), theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        values, vectors = ours.recv()
    except EOFError:
        process.join()
        raise MemoryError(f"the decomposition of a matrix of {len(matrix)} rows ended early") from None
    finally:
        process.kill()
        process.join()
    return torch.from_numpy(values), torch.from_numpy(vectors)


def _eigh(matrix, threads: int, results: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the terminal reaches both; who waits ends this one
    torch.set_num_threads(threads)
    values, vectors = torch.linalg.eigh(torch.from_numpy(matrix))
    results.send((values.numpy(), vectors.numpy()))
