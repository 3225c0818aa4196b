"""How torch says that there is too little memory."""

import re

import torch

# torch's allocator on the CPU and CUDA's libraries raise plain RuntimeErrors.
_WORDS = re.compile(r"allocate memory|out of memory|ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and _WORDS.search(str(error)) is not None
