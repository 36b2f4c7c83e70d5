"""Blocks of rows on all processors: a thread a block, whose products start no threads of their own.

The threads of a BLAS library wait for each other by spinning: for one product after another, with
other work between them, they took more than twice the processor time of a single one, and no less
time in all.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from tfft.system.machine import processors

Result = TypeVar("Result")
Block = tuple[slice, np.ndarray]

# A function that it decorates computes each product of matrices on the thread that asks for it.
products_on_one_thread = threadpool_limits.wrap(limits=1, user_api="blas")


def in_parallel(
    work: Callable[[slice, np.ndarray], Result], blocks: Iterator[Block]
) -> Iterator[Result]:
    """Yields what `work` makes of each block, in their order.

    As many blocks are in memory as there are processors.
    """
    first = list(islice(blocks, 2))
    if len(first) < 2:
        yield from (work(*block) for block in first)
        return
    every, at_once = chain(first, blocks), processors()
    with ThreadPoolExecutor(at_once) as threads:
        while some := list(islice(every, at_once)):
            yield from threads.map(lambda block: work(*block), some)
