"""An evaluation as tables: the figures, the worst classes, the most confused pairs."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table

if TYPE_CHECKING:
    from tfft.evaluate.evaluate import Evaluation

_ROWS = 5
