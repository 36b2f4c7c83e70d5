"""What a process of tfft's own leaves out, which a user's Python with tfft in it must not.

Importing Keras imports scikit-learn for `keras.wrappers` and Matplotlib for pictures, if they are
there: two fifths of what importing TensorFlow and Keras takes. tfft uses neither through Keras. A
program that imports tfft may, and so keeps them.
"""

import contextlib
import sys
from collections.abc import Iterator

_UNUSED_BY_KERAS = ("matplotlib", "sklearn")
_LEFT_OUT: set[str] = set()


def claim_process() -> None:
    """Says that nothing but tfft runs in this process: the command line, or a worker."""
    _LEFT_OUT.update(_UNUSED_BY_KERAS)


@contextlib.contextmanager
def without_unused_packages() -> Iterator[None]:
    """Lets Keras be imported without packages that tfft does not use through it.

    They are as good as not installed meanwhile, which Keras provides for, and can be imported
    afterwards. In a process that is not tfft's own nothing is left out.
    """
    left_out = [name for name in _LEFT_OUT if name not in sys.modules]
    hidden: dict[str, None] = dict.fromkeys(left_out)
    sys.modules.update(hidden)  # type: ignore[arg-type]  # None stands for what is not there
    try:
        yield
    finally:
        for name in left_out:
            del sys.modules[name]
