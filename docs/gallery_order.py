"""The gallery: examples in teaching order, and the panel that each thumbnail shows."""

from pathlib import Path

from PIL import Image

ORDER = [
    "plot_quickstart.py",
    "plot_phase_curve.py",
    "plot_data_efficiency.py",
    "plot_interactions.py",
    "plot_many_body.py",
    "plot_block_spins.py",
    "plot_renormalized_couplings.py",
    "plot_windows_to_tc.py",
    "plot_micrograph.py",
    "plot_noise.py",
    "plot_quantum_chain.py",
    "plot_xy.py",
]


def position(filename):
    """Return the place of an example; a new one must be given its place."""
    return ORDER.index(filename)


IMAGES = "auto_examples/images"
# A figure of many panels cannot be read at 200 px: the figure of an example, and the panel that stands for it
# (left, top, right, bottom, as fractions of the figure).
PANELS = {
    "plot_quickstart": (f"{IMAGES}/sphx_glr_plot_quickstart_002.png", (0, 0, 1, 1)),
    "plot_phase_curve": ("_static/phase_curve.png", (0, 0, 1, 1)),
    "plot_data_efficiency": (f"{IMAGES}/sphx_glr_plot_data_efficiency_001.png", (0, 0, 0.51, 1)),
    "plot_interactions": (f"{IMAGES}/sphx_glr_plot_interactions_001.png", (0, 0, 0.245, 0.51)),
    "plot_many_body": (f"{IMAGES}/sphx_glr_plot_many_body_001.png", (0, 0, 0.505, 1)),
    "plot_windows_to_tc": (f"{IMAGES}/sphx_glr_plot_windows_to_tc_001.png", (0, 0, 0.505, 1)),
    "plot_micrograph": (f"{IMAGES}/sphx_glr_plot_micrograph_001.png", (0, 0, 0.56, 1)),
    "plot_quantum_chain": (f"{IMAGES}/sphx_glr_plot_quantum_chain_001.png", (0, 0, 0.5, 0.61)),
}


def crop_thumbnails(app):
    """Replace thumbnails by one panel of their figure; figures that were not drawn are left out."""
    for name, (file, panel) in PANELS.items():
        figure = Path(app.srcdir) / file
        if figure.exists():
            with Image.open(figure) as image:
                box = [round(part * size) for part, size in zip(panel, image.size * 2, strict=True)]
                cut = image.convert("RGB").crop(box)
            cut.thumbnail((400, 280))
            thumbnail = Image.new("RGB", (400, 280), "white")
            thumbnail.paste(cut, ((400 - cut.width) // 2, (280 - cut.height) // 2))
            thumbnail.save(Path(app.srcdir) / IMAGES / "thumb" / f"sphx_glr_{name}_thumb.png")
