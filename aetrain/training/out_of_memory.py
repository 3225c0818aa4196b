"""How torch says that there is too little memory, where it has no exception of its own for it."""

import re

# torch's allocator on the CPU and CUDA's libraries raise plain RuntimeErrors.
OUT_OF_MEMORY = re.compile(r"allocate memory|out of memory|ALLOC_FAILED")
