"""Statistics of a list of numbers."""

import numpy as np
import pandas as pd


def describe(values: list[float]) -> dict[str, float]:
    """Count, mean, median and the root of the mean square."""
    series = pd.Series(values, dtype="float64")
    return {
        "count": int(series.count()),
        "mean": float(series.mean()),
        "median": float(series.median()),
        "rms": float(np.sqrt(np.mean(np.square(series.to_numpy())))),
    }
