"""A TFLite file as a function of arrays, without TensorFlow."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np

from tfft.errors import ModelFileError
from tfft.system.machine import processors
from tfft.system.quiet import descriptors_kept_aside

# Each worker has its own buffers for the activations between layers.
MOST_WORKERS = 8

# From rows [n, ...] to outputs [n, ...].
OfRows = Callable[[np.ndarray], tuple[np.ndarray, ...]]


def in_whole_batches(rows: np.ndarray, size: int, run: OfRows) -> tuple[np.ndarray, ...]:
    """Returns the outputs [n, ...] of a function that takes batches of one size.

    Args:
        rows: Inputs [n, ...], n at least 1; the last batch is filled up with its last row.
        size: Rows in a batch.
        run: The function.
    """
    results: list[tuple[np.ndarray, ...]] = []
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        count = len(batch)
        if count < size:
            batch = np.concatenate([batch, np.repeat(batch[-1:], size - count, axis=0)])
        results.append(tuple(output[:count] for output in run(batch)))
    return tuple(np.concatenate(parts) for parts in zip(*results, strict=True))


class TfliteFunction:
    """Runs a TFLite model with one input and any number of outputs, in the order of their names.

    The model has a fixed batch. Any number of rows can be given: the last batch is padded.
    For a quantised input, such as one of uint8, numbers are rounded to its steps.

    Args:
        content: Content of the file.
        threads: Number of threads; default: one for each processor that this process may use.

    Attributes:
        output_names: Names of the outputs in the order in which a call returns them.
        output_sizes: Size of the last dimension of each output, in their order.
        input_shape: Shape of the input without the batch.
        batch_size: Batch size of the file.
        takes_floats: Whether the input is float32.

    Raises:
        ModelFileError: The content is not a TFLite model, or needs operators that are not built
            in.
    """

    def __init__(self, content: bytes, threads: int | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with descriptors_kept_aside(2):
            try:
                self._interpreter = Interpreter(
                    model_content=content, num_threads=threads or processors()
                )
                self._interpreter.allocate_tensors()
            except (ValueError, RuntimeError) as error:
                raise ModelFileError(f"not a TFLite model that runs here: {error}") from error
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1:
            raise ModelFileError(f"not a TFLite model that runs here: it has {len(inputs)} inputs")
        (self._input,) = inputs
        # Names tell the outputs apart; the converter may have permuted them.
        if self._interpreter.get_signature_list():
            details = self._interpreter.get_signature_runner().get_output_details()
            self.output_names = tuple(sorted(details))
        else:  # numbered by the graph: Identity, Identity_1, …, Identity_10
            details = {detail["name"]: detail for detail in self._interpreter.get_output_details()}
            self.output_names = tuple(sorted(details, key=lambda name: (len(name), name)))
        self._outputs = [details[name] for name in self.output_names]
        self.output_sizes = tuple(
            int(np.append(1, output["shape"])[-1]) for output in self._outputs
        )
        self.input_shape = tuple(int(size) for size in self._input["shape"][1:])
        self.batch_size = int(self._input["shape"][0])
        self.takes_floats = self._input["dtype"] == np.float32

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Returns the outputs [n, ...] for input rows [n, ...]."""
        return in_whole_batches(rows, self.batch_size, self._run)

    def _run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        self._interpreter.set_tensor(self._input["index"], self._as_input(batch))
        self._interpreter.invoke()
        return tuple(self._interpreter.get_tensor(output["index"]) for output in self._outputs)

    def _as_input(self, batch: np.ndarray) -> np.ndarray:
        kind = self._input["dtype"]
        scale, zero_point = self._input["quantization"]
        if scale and np.issubdtype(kind, np.integer):
            limits = np.iinfo(kind)
            batch = np.clip(np.rint(batch / scale) + zero_point, limits.min, limits.max)
        return np.ascontiguousarray(batch, kind)


class Workers:
    """Functions of rows that work at the same time, each on a batch of its own.

    Args:
        functions: The functions, which give the same outputs.

    Attributes:
        count: Number of functions.
    """

    def __init__(self, functions: Sequence[OfRows]) -> None:
        self.count = len(functions)
        self._free: SimpleQueue[OfRows] = SimpleQueue()
        for function in functions:
            self._free.put(function)

    def map(self, batches: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, ...]]:
        """Yields the outputs of each batch of rows, in the order of the batches."""
        waiting: deque[Future[tuple[np.ndarray, ...]]] = deque()
        with ThreadPoolExecutor(self.count) as executor:
            for rows in batches:
                waiting.append(executor.submit(self._run, rows))
                if len(waiting) > self.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _run(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        function = self._free.get()
        try:
            return function(rows)
        finally:
            self._free.put(function)


class TfliteWorkers(Workers):
    """A TFLite model that runs several batches at once, each in an interpreter of its own.

    Interpreters with one thread each never wait for one another: on two cores, beside threads that
    decode images, this is a seventh faster than one interpreter with two threads.

    Args:
        content: Content of the file.
        workers: Number of interpreters; default: one for each thread, at most `MOST_WORKERS`.
            Where there are more threads than interpreters, each has several.
        threads: Number of threads of all together; default: one for each processor.

    Raises:
        ModelFileError: The content is not a TFLite model, or needs operators that are not built
            in.
    """

    def __init__(
        self, content: bytes, workers: int | None = None, threads: int | None = None
    ) -> None:
        threads = threads or processors()
        count = workers or min(threads, MOST_WORKERS)
        each = max(1, threads // count)
        super().__init__([TfliteFunction(content, each) for _ in range(count)])


class ParallelTflite:
    """A TFLite model on all processors: a few rows in one interpreter, more in one for each thread.

    A batch is soonest done by all threads together, many batches by each thread on its own.

    Args:
        content: Content of the file.
        threads: Number of threads; default: one for each processor that this process may use.

    Attributes:
        function: The interpreter with all threads, and what it says of the file.

    Raises:
        ModelFileError: The content is not a TFLite model, or needs operators that are not built
            in.
    """

    def __init__(self, content: bytes, threads: int | None = None) -> None:
        self.function = TfliteFunction(content, threads)
        self._content, self._threads = content, threads or processors()
        self._workers: TfliteWorkers | None = None

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Returns the outputs [n, ...] for input rows [n, ...]."""
        size = self.function.batch_size
        if self._threads == 1 or len(rows) <= size:
            return self.function(rows)
        if self._workers is None:
            self._workers = TfliteWorkers(self._content, threads=self._threads)
        each = size * -(-len(rows) // (2 * self._workers.count * size))
        parts = self._workers.map(rows[at : at + each] for at in range(0, len(rows), each))
        return tuple(np.concatenate(of_output) for of_output in zip(*parts, strict=True))
