"""`python -m skhamiltonian`: a first curve from nothing, from configurations or from images, step by step in Python."""

from __future__ import annotations

import argparse
import ast
import re
import sys
import time
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import numpy as np

# More values than this in a stack of integers are grey levels, not states.
_MOST_STATES = 4
_SMALLEST_EDGE = 5  # the windows round a site cover so many
_IMAGES = (".tif", ".tiff", ".png")

_DEMO = """
import numpy as np
from skhamiltonian import IsingSampler, MADEHamiltonian, PhaseCurveDisplay, phase_curve

# Configurations of the 8 x 8 Ising model at one temperature: all that the model sees.
ising = IsingSampler(lattice_shape=(8, 8), temperature=2.5, random_state=0)
X = ising.sample(n_samples=20_000)
symmetries = ("translation", "point-group", "spin-flip")
made = MADEHamiltonian(2.5, lattice_shape=(8, 8), symmetries=symmetries, verbose=1, random_state=0).fit(X)

# Other temperatures are predictions. The truth is simulated beside them. One in three may be off by more than its +-.
T = np.linspace(1.0, 4.0, 13)
learned, true = phase_curve(made, T), phase_curve(ising, T)
m, error = learned["abs_magnetization"]
true_m, true_error = true["abs_magnetization"]
for t, off, noise in zip(T, m - true_m, np.hypot(error, true_error), strict=True):
    print(f"T = {t:.2f}: <|m|> off by {off:+.4f} +- {noise:.4f}")
display = PhaseCurveDisplay.from_curves({"learned at T = 2.5": learned, "true": true})
display.figure_.savefig(PICTURE)
"""

_ROWS = """
import numpy as np
from sklearn.model_selection import train_test_split
from skhamiltonian import IndependentSites, MADEHamiltonian, PhaseCurveDisplay, phase_curve

X = np.load(DATA)  # TAKEN
X = X.reshape(len(X), -1)
train, test = train_test_split(X, random_state=0)

# Do the sites know of each other? Mean log-likelihood of rows held back, in nats per configuration.
independent = IndependentSites().fit(train)
# Better, if you know them: lattice_shape=(height, width), symmetries=("translation", "point-group", "spin-flip").
made = MADEHamiltonian(TEMPERATURE, lattice_shape=LATTICE, verbose=1, random_state=0).fit(train)
print(f"independent sites {independent.score(test):.3f}, network {made.score(test):.3f}")
if made.is_window_:
    print("These look like windows of something larger: use LocalHamiltonian for other temperatures.")
if made.calibration_ is None:
    print("The +- below are the noise of the draws alone, without that of the rows.")

# `support`: how many of the configurations count at a temperature. Below 50 a point is a generalisation.
T0 = TEMPERATURE
T = T0 * np.linspace(0.6, 2.0, 15)
curve = phase_curve(made, T, verbose=1)
for t, m, error, n, r in zip(T, *curve["abs_magnetization"], curve.support, curve.r_hat, strict=True):
    doubt = "" if n >= 50 else ": a generalisation"
    doubt += f", unreliable: r_hat {r:.2f} is above 1.05" if r > 1.05 else ""
    print(f"T/T0 = {t / T0:.2f}: <|m|> = {m:.4f} +- {error:.4f}, support {n:.0f}{doubt}")
display = PhaseCurveDisplay.from_curves({"learned": curve})
display.figure_.savefig(PICTURE)
"""

_PICTURES = """
from pathlib import Path
import numpy as np
READ
from skhamiltonian import (
    DomainBinarizer, LocalHamiltonian, PhaseCurveDisplay, extract_windows, peak_temperature, phase_curve
)

# A spin may be larger than a pixel: then pass the pixels along its edge. Sharp squares of pixels are found.
images = IMAGES  # TAKEN
binarizer = DomainBinarizer(background="plane", pixels_per_site=PIXELS).fit(images)
if binarizer.squares_ and any(binarizer.squares_[1:]):
    edge, row, column = binarizer.squares_
    print(f"images begin at row {row} and column {column} now, where the first square of {edge} x {edge} pixels begins")
    binarizer.fit(images := [image[row:, column:] for image in images])
if binarizer.squares_ and binarizer.squares_[0] != binarizer.pixels_per_site_:
    raise SystemExit("Sites are not the squares of pixels that are spins, so there is no curve: see the warning.")
spins = binarizer.transform(images)
print(f"{binarizer.pixels_per_site_} pixels taken as a site; up and down differ by {binarizer.separation_:.1f} sigma")
shape = tuple(map(min, zip(*(image.shape for image in spins))))  # images of one shape stay whole
windows, groups = extract_windows(spins, shape)

# Are up and down equivalent? If you know, set spin_flip to True or False.
m = np.array([image.mean() for image in spins])
mean, error = m.mean(), m.std(ddof=1) / len(m) ** 0.5 if len(m) > 1 else np.nan
spin_flip = abs(mean) <= 3 * error
print("mean spin of each image:", *(f"{one:+.3f}" for one in m), f"and of all: {mean:+.3f} +- {error:.3f}")
why = "one image gives no error" if len(m) == 1 else f"zero is {'within' if spin_flip else 'beyond'} three errors"
print(f"Up and down are {'' if spin_flip else 'NOT '}taken as equivalent: {why}. To change it, set spin_flip.")

# One energy for all places. Its couplings are in units of the unknown temperature T0 of the images.
# If images differ in more than chance, such as their T0, fit(windows, groups=groups) has honest errors.
symmetries = ("point-group", "spin-flip") if spin_flip else ("point-group",)
local = LocalHamiltonian(lattice_shape=shape, symmetries=symmetries, random_state=0).fit(windows)
for cluster, J, error in zip(local.clusters_, local.couplings_, np.diag(local.covariance_) ** 0.5, strict=True):
    print(f"J/T0 = {J:+.4f} +- {error:.4f} of the sites {np.argwhere(cluster).tolist()}")

# Does the learned energy make images like these? Compare equal pairs of spins: one above the other, or side by side.
distances = [d for d in (1, 2, 4, 8, 16) if d == 1 or d <= min(shape) / 4]

def equal_pairs(X, edges=(64, 64)):
    s = X.reshape(-1, *edges)
    pairs = [(s[:, d:] == s[:, :-d], s[..., d:] == s[..., :-d]) for d in distances]
    return np.transpose([[axis.mean(axis=(1, 2)) for axis in both] for both in pairs])

lattice = local.to_sampler((64, 64))
options = {"entropy": False, "n_samples": 200, "random_state": 0}
drawn, noise = phase_curve(lattice, [1.0], observables={"equal": equal_pairs}, **options)["equal"]
half = tuple(edge // 2 for edge in shape)  # quarters of images give an error even to one image
seen = equal_pairs(extract_windows(spins, half)[0], half)
error = np.hypot(noise[0], seen.std(axis=0, ddof=1) / len(seen) ** 0.5)
seen, drawn = seen.mean(axis=0), drawn[0]
for d, *row in zip(distances, *seen, *drawn, *error, strict=True):
    print("distance {:2}: {:.3f} and {:.3f} equal in images, {:.3f} and {:.3f} in draws at T0, "
          "+- {:.3f} and {:.3f}".format(d, *row))
if not np.all(abs(seen - drawn) <= 3 * error + 0.01):
    raise SystemExit("NOT like these, so there is no curve. Do spins cover several pixels (pixels_per_site)? Does the "
                     "first square of pixels begin with a spin (crop)? "
                     "Is the light blurred? Do interactions reach beyond 3 x 3 sites (window_shape)?")
print("Like these, as far as pairs tell.")
if binarizer.n_modes_ > 2:
    print("BUT sites have more than two intensities: do not trust couplings if squares of pixels hold several spins.")

# A lattice of 64 x 64 at other temperatures, in units of T0.
T = np.linspace(0.3, 1.6, 27)
curve = phase_curve(lattice, T, verbose=1, **options)
for t, m, error, r in zip(T, *curve["abs_magnetization"], curve.r_hat, strict=True):
    doubt = f", unreliable: r_hat {r:.2f} is above 1.05" if r > 1.05 else ""
    print(f"T/T0 = {t:.2f}: <|m|> = {m:.4f} +- {error:.4f}{doubt}")
try:
    peak, error = peak_temperature(curve)
    print(f"the heat capacity is largest at T/T0 = {peak:.3f} +- {error:.3f}, near Tc; crossing_temperature finds Tc")
except ValueError as reason:
    print(f"no transition is seen: {reason}")
print("What this cannot tell: whether the images are in equilibrium, and interactions that they do not show.")
display = PhaseCurveDisplay.from_curves({"64 x 64, learned from images": curve})
display.ax_.set(xlabel="temperature $T / T_0$")
display.figure_.savefig(PICTURE)
"""


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments, choose the lines, and run them."""
    parser = argparse.ArgumentParser(prog="python -m skhamiltonian", description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help=(
        "a .npy file of configurations (n_samples, n_sites) or (n_samples, height, width), or images: "
        "a .tif or .png file, or a folder of them. Without data: the Ising model"
    ))  # fmt: skip
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="of configurations (default: 1, the unit; that of images)"
    )
    parser.add_argument("--output", type=Path, default=Path("first_curve"), help="name of picture and script")
    parser.add_argument("--pixels-per-site", type=int, help="pixels along the edge of a spin of images (default: auto)")
    given = parser.parse_args(arguments)
    name = re.sub(r"\.(png|py)$", "", given.output.name)  # T2.5 and T2.6 are two names
    if name in {"skhamiltonian", *sys.stdlib_module_names, *packages_distributions()}:
        parser.error(f"--output {given.output} would be imported in place of a package: choose another name")
    if find_spec("matplotlib") is None:
        parser.error('the picture needs matplotlib: pip install "skhamiltonian[plot]"')
    if not 0 < given.temperature < np.inf:
        parser.error(f"--temperature must be a positive number, got {given.temperature}")
    if given.pixels_per_site is not None and given.pixels_per_site < 1:
        parser.error(f"--pixels-per-site must be at least 1, got {given.pixels_per_site}")
    if not name:
        parser.error(f"--output must be the name of a file, got '{given.output}'")
    try:
        template, words = _lines(given.data, given.temperature)
    except ValueError as error:
        parser.error(str(error))
    if given.pixels_per_site is not None and template is not _PICTURES:
        parser.error("--pixels-per-site is for images")
    words["PIXELS"] = repr(given.pixels_per_site or "auto")
    try:
        source, picture, script = _free(template, words, given.output.with_name(name))
        script.write_text(source, encoding="utf-8")
    except OSError as error:
        parser.error(f"--output {given.output} cannot be written: {error}")
    if script.stem != name:
        print(f"# {name}.py holds other lines and stays as it is: these lines are {script}, the picture is {picture}")
    try:
        run(source)
    except (ValueError, SystemExit) as error:  # data that do not fit: the words say what to do
        parser.exit(1, f"{error}\nThe lines are in {script}: change them there, and run it.\n")
    print(f"The picture is {picture}. These lines are in {script}: go on from there.")


def _free(template: str, words: dict[str, str], output: Path) -> tuple[str, Path, Path]:
    """Return the lines, and the first names of picture and script that replace no other lines."""
    for number in count(1):
        name = output.name if number == 1 else f"{output.name}_{number}"
        picture, script = (output.with_name(name + suffix) for suffix in (".png", ".py"))
        source = _filled(template, words | {"PICTURE": repr(str(picture))})
        if not script.is_file() or script.read_text(encoding="utf-8", errors="replace") == source:
            break
    return source, picture, script


def _filled(template: str, words: dict[str, str]) -> str:
    """Return a template with its words replaced; what replaces one, such as a path, may hold another."""
    return re.sub("|".join(words), lambda found: words[found[0]], template.lstrip())


def _lines(data: Path | None, temperature: float) -> tuple[str, dict[str, str]]:
    """Return the lines of Python for what was given, and what replaces the words in capitals."""
    if data is None:
        return _DEMO, {}
    if not data.exists():
        raise ValueError(f"there is no {data}")
    if data.is_dir() or data.suffix.lower() in _IMAGES:
        return _picture_lines(*_image_files(data))
    if data.suffix != ".npy":
        raise ValueError(f"{data} must be a .npy file, an image ({', '.join(_IMAGES)}) or a folder of images")
    try:
        X = np.load(data, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{data} cannot be read: {error}") from None
    if not isinstance(X, np.ndarray):
        X.close()
        raise ValueError(f"{data} must hold one array, got an archive of {', '.join(X.files)}")
    if X.ndim not in (2, 3) or X.dtype.kind not in "iufb" or not X.size:
        joined = ": join axes that count configurations, X.reshape(-1, height, width)" if X.ndim > 3 else ""
        raise ValueError(f"{data} must hold numbers of shape (n, n_sites) or (n, height, width), got {X.shape}{joined}")
    if X.ndim == 3 and (n_values := len(np.unique(X[:100]))) > _MOST_STATES:
        taken = f"{n_values} values: taken for grey images, not for states or angles of sites"
        return _picture_lines("", f"np.load({str(data)!r})", min(X.shape[1:]), taken)
    if len(X) < 2:
        raise ValueError(f"{data} must hold at least two configurations, got {X.shape}")
    shape = repr(tuple(map(int, X.shape[1:]))) if X.ndim == 3 else "None"
    taken = f"{len(X)} configurations of {' x '.join(map(str, X.shape[1:]))} sites"
    return _ROWS, {"DATA": repr(str(data)), "LATTICE": shape, "TEMPERATURE": repr(temperature), "TAKEN": taken}


def _image_files(data: Path) -> tuple[str, str, int, str]:
    """Return the line that imports a reader, the expression that reads all images, their smallest edge and number."""
    if find_spec("skimage") is None:
        raise ValueError("images need other packages: pip install scikit-image tifffile")
    files = [data] if data.is_file() else sorted(path for path in data.glob("[!.]*") if path.suffix.lower() in _IMAGES)
    if not files:
        raise ValueError(f"{data} holds no images ({', '.join(_IMAGES)})")
    shapes = [_shape(path) for path in files]
    edge = min(min(shape[-2:]) for shape in shapes)
    if len(files) == 1 and len(shapes[0]) == 3:
        return "from tifffile import imread", f"imread({str(files[0])!r})", edge, f"a stack of {shapes[0][0]}"
    for path, shape in zip(files, shapes, strict=True):
        if len(shape) == 3:
            raise ValueError(f"{path} holds a stack of {shape[0]} images: give it alone, or save each as a file")
    reader = "from skimage import img_as_float\nfrom skimage.io import imread"
    if data.is_file():
        return reader, f"[img_as_float(imread({str(data)!r}, as_gray=True))]", edge, "one image"
    paths = f"sorted(path for path in Path({str(data)!r}).glob('[!.]*') if path.suffix.lower() in {_IMAGES})"
    return reader, f"[img_as_float(imread(path, as_gray=True)) for path in {paths}]", edge, f"{len(files)} images"


def _shape(path: Path) -> tuple[int, ...]:
    """Return the shape of an image or of a stack of grey images, whose pages scikit-image takes for colours."""
    from skimage.io import imread
    from tifffile import TiffFile

    try:
        if path.suffix.lower() == ".png":
            shape = imread(path).shape
            axes = "YXS"[: len(shape)]
        else:
            with TiffFile(path) as file:
                shape, axes = file.asarray().shape, file.series[0].axes
    except Exception as error:  # damaged files raise anything
        raise ValueError(f"{path} cannot be read: {str(error).partition(chr(10))[0]}") from None
    lengths = [n for axis, n in zip(axes, shape, strict=True) if axis != "S"]  # S: the colours of a pixel
    if len(shape) > 3 or ("S" in axes and shape[axes.index("S")] not in (3, 4)):
        raise ValueError(f"{path} must hold an image or a stack of grey ones, got shape {shape} of axes {axes}")
    return tuple(lengths)


def _picture_lines(reader: str, images: str, edge: int, taken: str) -> tuple[str, dict[str, str]]:
    """Return the lines for images whose smallest edge has so many pixels, and what replaces the words in capitals."""
    if edge < _SMALLEST_EDGE:
        raise ValueError(f"images must have edges of at least {_SMALLEST_EDGE} pixels, got {edge}")
    return _PICTURES, {"READ\n": f"{reader}\n" if reader else "", "IMAGES": images, "TAKEN": taken}


def run(source: str) -> None:
    """Run lines of Python and print each, with what it shows and how long it took."""
    names: dict[str, object] = {"__name__": "__main__"}
    lines, printed = source.splitlines(), 0
    for node in ast.parse(source).body:
        last = node.end_lineno or node.lineno
        for number, line in enumerate(lines[printed:last], printed + 1):
            print(f"{'>>>' if number <= node.lineno else '...'} {line}".rstrip(), flush=True)
        printed, start = last, time.perf_counter()
        exec(compile(ast.Module([node], []), "<skhamiltonian>", "exec"), names)
        if (seconds := time.perf_counter() - start) > 1:
            print(f"# {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
