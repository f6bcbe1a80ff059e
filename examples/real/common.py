"""What the scripts on real data share: reading files, comparing models, printing couplings, panels of a figure."""

import io
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np


def load_rows(path, name=None):
    """Return configurations and how often each counts, from a csv histogram, MATLAB 7.3, npy or text.

    In a histogram (.csv, or a .zip that holds one) the first column counts. A .mat file
    needs h5py; `name` is that of its array, which may be left out if there is only one.
    """
    path = Path(path)
    if path.suffix in (".csv", ".zip"):
        text = path.read_text() if path.suffix == ".csv" else _unzipped(path)
        table = np.loadtxt(io.StringIO(text), delimiter=",", dtype=np.int64, ndmin=2)
        return table[:, 1:].astype(np.int8), table[:, 0]
    if path.suffix == ".mat":
        X = _matlab(path, name)
    else:
        X = np.load(path) if path.suffix == ".npy" else np.loadtxt(path, ndmin=2)
    return X.astype(np.int8), np.ones(len(X), dtype=np.int64)


def _unzipped(path):
    with zipfile.ZipFile(path) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".csv")]
        return archive.read(name).decode()


def _matlab(path, name):
    try:
        import h5py
    except ImportError as error:
        message = f"{path} is read with h5py, which is not installed: pip install h5py"
        raise ImportError(message) from error
    with h5py.File(path) as file:
        arrays = {key: item for key, item in file.items() if isinstance(item, h5py.Dataset)}
        if name is None and len(arrays) == 1:
            (name,) = arrays
        if name not in arrays:
            raise KeyError(f"{path} holds {', '.join(arrays)}: name one of them, got {name!r}")
        return arrays[name][()]


def load_images(paths):
    """Return grey images from PNG or TIFF files; a file with several pages is a stack."""
    images = []
    for path in map(Path, paths):
        if path.suffix in (".tif", ".tiff"):
            import tifffile

            images += list(np.atleast_3d(tifffile.imread(path).T).T)
        else:
            from skimage.io import imread

            image = imread(path)
            images.append(image if image.ndim == 2 else image[..., :3].mean(axis=2))
    return images


def some_rows(X, counts, n, seed=0):
    """Return n rows drawn without replacement from a histogram, or all of them."""
    copies = np.repeat(np.arange(len(X)), counts)
    n = min(n, len(copies))
    return X[np.random.default_rng(seed).choice(copies, n, replace=False)]


def look(X, counts):
    """Print the size of the data, the most frequent configuration, and the spread of the sites."""
    times = np.bincount(np.unique(X, axis=0, return_inverse=True)[1].ravel(), counts)
    X, total = X.astype(np.float64), counts.sum()
    mean = counts @ X / total
    covariance = (X.T * counts) @ X / total - np.outer(mean, mean)
    spread = np.sqrt(np.diag(covariance)) + 1e-12
    pairs = np.abs(covariance / np.outer(spread, spread))[np.triu_indices(len(mean), 1)]
    print(f"{total} configurations of {len(mean)} sites, {len(X)} rows in the file")
    print(f"{len(times)} rows differ; the most frequent one occurs {times.max():.0f} times")
    print(f"means of sites from {mean.min():.3f} to {mean.max():.3f}")
    print(f"correlations of pairs: largest {pairs.max():.2f}, median {np.median(pairs):.3f}")


def compare(scores, weight=None):
    """Print held-out scores (name -> ln p of every row), and differences to the best with errors."""
    weight = np.ones(len(next(iter(scores.values())))) if weight is None else weight
    means = {name: np.average(score, weights=weight) for name, score in scores.items()}
    best = max(means, key=means.get)
    print("held-out log-likelihood, nats a configuration")
    for name, score in scores.items():
        gap = score - scores[best]
        off = np.average(gap, weights=weight)
        noise = np.sqrt(np.average((gap - off) ** 2, weights=weight) / weight.sum())
        behind = "best" if name == best else f"{off:+.3f} +- {noise:.3f} against {best}"
        print(f"  {name:12s} {means[name]:9.3f}   {behind}")
    return best


def strongest(coupling, error, n=8, names=None):
    """Print the couplings with the largest modulus, and how many stand out of their noise."""
    i, j = np.triu_indices(len(coupling), 1)
    value, error = coupling[i, j], error[i, j]
    limit = 4.0
    found = np.abs(value) > limit * error
    print(f"{found.sum()} of {len(value)} couplings exceed {limit:g} standard errors")
    for k in np.argsort(-np.abs(value) * found)[: min(n, found.sum())]:
        print(f"  J({i[k]}, {j[k]}) / T = {value[k]:+.3f} +- {error[k]:.3f}")
    return found, value


@contextmanager
def panels(path, size, n, **options):
    """Yield n axes beside each other, and write their figure to path at the end."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(size, layout="constrained")
        yield figure.subplots(1, n, **options)
        figure.savefig(path, dpi=80)
